import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import { clientMembers } from './client-metadata.ts';

/** What S256 makes of any verifier (RFC 7636 section 4.2). */
const s256Challenge = /^[\w-]{43}$/;

/** What the library lets pass of an authorization request, sent or pushed, and we do not. */
export async function checkRequest(catalogue: Catalogue, ctx: KoaContextWithOIDC): Promise<void> {
  checkResponseType(ctx);
  checkChallenge(ctx);
  checkMaxAge(ctx);
  checkIdTokenHint(ctx);
  await checkTenant(catalogue, ctx);
}

/** The library takes `code code` for `code`. */
function checkResponseType({ query, oidc }: KoaContextWithOIDC) {
  const sent = (oidc.body ?? query)['response_type'];
  if (sent !== undefined && sent !== oidc.params!['response_type']) {
    throw new errors.UnsupportedResponseType();
  }
}

function checkChallenge({ oidc }: KoaContextWithOIDC) {
  const challenge = oidc.params!['code_challenge'];
  if (challenge !== undefined && !s256Challenge.test(String(challenge))) {
    throw new errors.InvalidRequest('code_challenge must be the 43 base64url characters of S256');
  }
}

/** The library reads a number as JavaScript does: `0x10`, `1e3`, ` 5`. */
function checkMaxAge({ oidc }: KoaContextWithOIDC) {
  const max_age = oidc.params!['max_age'];
  if (max_age !== undefined && !/^\d+$/.test(String(max_age))) {
    throw new errors.InvalidRequest('max_age must be a number of seconds');
  }
}

function checkIdTokenHint({ oidc }: KoaContextWithOIDC) {
  const { IdTokenHint: hint } = oidc.entities as { IdTokenHint?: { header: { typ?: string } } };
  if (hint && !isIdTokenHeader(hint.header)) {
    throw new errors.InvalidRequest('id_token_hint is not an ID token');
  }
}

/** Other tokens are signed with the same keys for the same audience, and name their kind (RFC 8725 section 3.11). */
export function isIdTokenHeader({ typ }: { typ?: unknown }): boolean {
  return typ === undefined || typ === 'JWT';
}

/** The `tenant` parameter of a tenant's own client is not needed; when it is sent it must name that tenant. */
async function checkTenant(catalogue: Catalogue, { oidc }: KoaContextWithOIDC) {
  const { shared, tenant_id } = clientMembers(oidc.client!);
  const name = oidc.params!['tenant'];
  if (typeof name !== 'string' || shared) {
    return;
  }
  const tenant = await catalogue.findTenantByName(name);
  if (tenant?.tenant_id !== tenant_id) {
    throw new errors.InvalidRequest('the client does not belong to this tenant');
  }
}
