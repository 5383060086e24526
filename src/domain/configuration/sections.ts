import type { ConfiguredClient } from './client-schema.ts';
import type {
  Configuration,
  ConfiguredResource,
  ConfiguredRole,
  ConfiguredTenant,
  ConfiguredUser,
} from './schema.ts';

/** The part of a file that belongs to one tenant, and is applied in one transaction. */
export interface Section {
  slug: string;
  /** Where it stands in the file; empty for the platform. */
  path: (string | number)[];
  /** Undefined for the platform, which every database has. */
  tenant: Pick<ConfiguredTenant, 'name' | 'status' | 'settings'> | undefined;
  domains: string[];
  resources: ConfiguredResource[];
  roles: ConfiguredRole[];
  users: ConfiguredUser[];
  clients: ConfiguredClient[];
}

/** The slug of the platform's own row. */
export const platformSlug = 'platform';

/** The sections of a file, the platform's first: what tenants refer to exists before them. */
export function listSections({ resources, clients, tenants }: Configuration): [Section, ...Section[]] {
  return [
    {
      slug: platformSlug,
      path: [],
      tenant: undefined,
      domains: [],
      resources,
      roles: [],
      users: [],
      clients,
    },
    ...tenants.map((tenant, index) => ({ ...tenant, tenant, path: ['tenants', index] })),
  ];
}
