import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { accountOf } from './account.ts';
import { clientMembers } from './client-metadata.ts';
import { requestTenantId } from './request-store.ts';
import { ttl } from './ttl.ts';

/** What tokens carry, how long they live and how they renew. */
export const tokens = {
  ttl: ttl as unknown as NonNullable<Configuration['ttl']>,

  /** RFC 9068 claims beside the library's own. Nothing personal: what a resource server decides with, and no more. */
  async extraTokenClaims(ctx, token) {
    if (token.kind === 'ClientCredentials') {
      return { tenant_id: clientMembers(ctx.oidc.client!).tenant_id };
    }
    const { AuthorizationCode: code, RefreshToken: refresh } = ctx.oidc.entities;
    const source = code ?? refresh;
    return {
      tenant_id: requestTenantId(),
      sid: source?.sid ?? source?.sessionUid,
      auth_time: source?.authTime,
      acr: source?.acr,
      amr: source?.amr,
      roles: accountOf(ctx)?.user.roles ?? [],
    };
  },

  // Always, unless the token is bound to a key: reuse then revokes the family.
  rotateRefreshToken: (ctx: KoaContextWithOIDC) => !ctx.oidc.entities.RefreshToken?.isSenderConstrained(),

  /** offline_access was consented to, or the client is the product's own. */
  async issueRefreshToken(_ctx, client, code) {
    return (
      client.grantTypeAllowed('refresh_token') &&
      (code.scopes.has('offline_access') || clientMembers(client).first_party)
    );
  },

  expiresWithSession: async (_ctx: KoaContextWithOIDC, token: { scopes: Set<string> }) =>
    !token.scopes.has('offline_access'),
} satisfies Partial<Configuration>;
