import type { Database } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import type { ClientWithSecrets } from '#src/domain/clients/clients.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { escapeReferences } from './parse.ts';
import { platformSlug } from './sections.ts';
import { readTenantState, type StoredUser, type TenantState } from './state.ts';

/**
 * What the tenant holds, in the form of the file that `tessera apply` takes; undefined when there is no such tenant. Client
 * secrets are left out: applied elsewhere, each client that needs one gets a new one. Hashes of passwords come only when asked
 * for. The slug `platform` gives the shared clients and resources.
 */
export async function exportConfiguration(
  db: Database,
  slug: string,
  { withPasswordHashes = false }: { withPasswordHashes?: boolean } = {},
): Promise<object | undefined> {
  const tenant_id = await findTenantIdInDirectory(db, 'slug', slug);
  if (tenant_id === undefined) {
    return undefined;
  }
  const state = await withTenant(db, tenant_id, (tx) => readTenantState(tx));
  return escapeAll(
    slug === platformSlug ? presentPlatform(state) : presentTenant(state, withPasswordHashes),
  ) as object;
}

function presentPlatform(state: TenantState) {
  return filled({
    resources: [...state.resources.values()].map(presentResource),
    clients: [...state.clients.values()].map(presentClient),
  });
}

function presentTenant(
  { tenant, domains, resources, roles, users, clients }: TenantState,
  withPasswordHashes: boolean,
) {
  const { slug, name, status, settings } = tenant!;
  const exported = filled({
    slug,
    name,
    status: unless(status, 'active'),
    domains: [...domains],
    settings: filled(settings),
    resources: [...resources.values()].map(presentResource),
    roles: [...roles.values()].map(({ name, permissions }) => filled({ name, permissions })),
    users: [...users.values()].map((user) => presentUser(user, withPasswordHashes)),
    clients: [...clients.values()].map(presentClient),
  });
  return { tenants: [exported] };
}

function presentResource({
  identifier,
  name,
  scopes,
}: {
  identifier: string;
  name: string;
  scopes: string[];
}) {
  return filled({ identifier, name: unless(name, identifier), scopes });
}

/** Status and password as they come out: a user who is not there yet is active with a password, and without one invited. */
function presentUser(
  { email, name, email_verified, status, password_hash, password_compromised, roles }: StoredUser,
  withPasswordHashes: boolean,
) {
  // In a file only the status says that others know a password.
  const mayLeave = withPasswordHashes && (!password_compromised || status === 'compromised');
  return filled({
    email,
    name,
    email_verified: unless(email_verified, false),
    status: status === 'active' && password_hash !== null ? undefined : status,
    password_hash: mayLeave ? password_hash : null,
    roles,
  });
}

/** Only what differs from the default, which a field that is left out takes. */
function presentClient(client: ClientWithSecrets) {
  const { client_id } = client;
  return filled({
    client_id,
    client_name: unless(client.client_name, client_id),
    status: unless(client.status, 'active'),
    allowed_tenants: client.allowed_tenants,
    redirect_uris: client.redirect_uris,
    post_logout_redirect_uris: client.post_logout_redirect_uris,
    grant_types: client.grant_types,
    response_modes: unless(client.response_modes.join(), 'query,form_post') && client.response_modes,
    token_endpoint_auth_method: client.token_endpoint_auth_method,
    id_token_signed_response_alg: unless(client.id_token_signed_response_alg, 'RS256'),
    jwks: client.jwks,
    jwks_uri: client.jwks_uri,
    client_uri: client.client_uri,
    resources: client.resources.map(({ identifier, scopes }) => filled({ identifier, scopes })),
    first_party: unless(client.first_party, false),
    require_pkce: unless(client.require_pkce, true),
    require_pushed_authorization_requests: unless(client.require_pushed_authorization_requests, false),
    dpop_bound_access_tokens: unless(client.dpop_bound_access_tokens, false),
    allowed_ips: client.allowed_ips,
  });
}

function unless<T>(value: T, usual: T): T | undefined {
  return value === usual ? undefined : value;
}

/** Without fields that hold nothing. */
function filled(fields: object): object {
  const isFilled = (value: unknown) =>
    value !== undefined && value !== null && !(typeof value === 'object' && Object.keys(value).length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isFilled(value)));
}

/** What a user or an admin wrote into a name must not read a variable of whoever applies the file. */
function escapeAll(value: unknown): unknown {
  if (typeof value === 'string') {
    return escapeReferences(value);
  }
  if (Array.isArray(value)) {
    return value.map(escapeAll);
  }
  return value !== null && typeof value === 'object'
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escapeAll(item)]))
    : value;
}
