import { errors } from 'oidc-provider';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import { clientMembers } from './client-metadata.ts';

/** The `tenant` parameter of a tenant's own client is not needed; when it is sent it must name that tenant. */
export async function checkTenantParameter(
  catalogue: Catalogue,
  value: string | undefined,
  client: object,
): Promise<void> {
  const { shared, tenant_id } = clientMembers(client);
  if (value === undefined || shared) {
    return;
  }
  const tenant = await catalogue.findTenantByName(value);
  if (tenant?.tenant_id !== tenant_id) {
    throw new errors.InvalidRequest('the client does not belong to this tenant');
  }
}
