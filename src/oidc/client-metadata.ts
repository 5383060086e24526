import type { AdapterPayload } from 'oidc-provider';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import type { ClientSecret, ClientWithSecrets } from '#src/domain/clients/clients.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { ipAllowed, parseCidr } from '#src/lib/client-ip.ts';
import { requestStore, requestTenantId, setRequestTenant } from './request-store.ts';

/** Our own members of a client beside those of RFC 7591; the library hands them on under these names. */
export const extraClientMetadata = [
  'tenant_id',
  'shared',
  'allowed_tenants',
  'first_party',
  'require_pkce',
  'resources',
  'allowed_ips',
] as const;

/** A client of the library with our members. */
export interface ClientMembers {
  clientId: string;
  clientName?: string;
  tenant_id: string;
  shared: boolean;
  allowed_tenants: string[] | null;
  first_party: boolean;
  require_pkce: boolean;
  resources: { identifier: string; scopes: string[] }[];
  allowed_ips: string[];
}

/** Our members of a client that the library handed us. */
export function clientMembers(client: object): ClientMembers {
  return client as ClientMembers;
}

/**
 * The client for the library, from the catalogue. A tenant's own client fixes the tenant of the request; in a request of
 * another tenant it is unknown. Disabled clients, and clients of disabled tenants, are unknown too.
 */
export function makeFindClient(catalogue: Catalogue) {
  // The catalogue hands out the same object until the client changes.
  const known = new WeakMap<object, AdapterPayload>();
  return async (client_id: string): Promise<AdapterPayload | undefined> => {
    const client = await catalogue.findClient(client_id);
    if (!client || client.status !== 'active' || !mayCallFrom(client, requestStore().client_ip)) {
      return undefined;
    }
    if (!client.shared && client.tenant_id !== platformTenantId) {
      const tenant = await catalogue.findTenant(client.tenant_id);
      const current = requestTenantId();
      if (tenant?.status !== 'active' || (current !== undefined && current !== client.tenant_id)) {
        return undefined;
      }
      setRequestTenant(client.tenant_id);
    }
    let presented = known.get(client);
    if (!presented) {
      presented = presentClient(client);
      known.set(client, presented);
    }
    return presented;
  };
}

/** `allowed_ips` binds the client's own calls; a browser on its way to it comes from anywhere. */
function mayCallFrom({ allowed_ips }: ClientWithSecrets, client_ip: string | undefined): boolean {
  return (
    allowed_ips.length === 0 ||
    client_ip === undefined ||
    ipAllowed(
      client_ip,
      allowed_ips.map(parseCidr).filter((cidr) => cidr !== undefined),
    )
  );
}

function presentClient({
  secrets,
  status: _,
  jwks,
  jwks_uri,
  client_uri,
  ...client
}: ClientWithSecrets & { tenant_id: string }): AdapterPayload {
  const usesSecret = client.token_endpoint_auth_method.startsWith('client_secret_');
  return {
    ...client,
    ...(usesSecret ? { client_secret: encodeSecrets(secrets) } : {}),
    ...(jwks ? { jwks } : {}),
    ...(jwks_uri ? { jwks_uri } : {}),
    ...(client_uri ? { client_uri } : {}),
    application_type: client.redirect_uris.some((uri) => !/^https?:/.test(uri)) ? 'native' : 'web',
    response_types: client.grant_types.includes('authorization_code') ? ['code'] : [],
  } as unknown as AdapterPayload;
}

/** The library carries one string as client_secret; ours lists the hashes of all live secrets. */
function encodeSecrets(secrets: readonly ClientSecret[]): string {
  return JSON.stringify(
    secrets.map(({ secret_hash, expires_at }) => [
      secret_hash.toString('base64'),
      expires_at?.getTime() ?? null,
    ]),
  );
}

/** The hashes that `encodeSecrets` wrote. */
export function decodeSecrets(text: string): ClientSecret[] {
  return (JSON.parse(text) as [string, number | null][]).map(([hash, expires_at]) => ({
    id: '',
    secret_hash: Buffer.from(hash, 'base64'),
    expires_at: expires_at === null ? null : new Date(expires_at),
  }));
}
