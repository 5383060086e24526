import type { Account, Client, KoaContextWithOIDC } from 'oidc-provider';
import { isTenantId as isUuid } from '#src/database/tenant.ts';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { findUser, type User } from '#src/domain/users/users.ts';
import { clientMembers } from './client-metadata.ts';
import { requestTenantId, requestTx } from './request-store.ts';
import { mayServe } from './tenancy.ts';

export type UserAccount = Account & { user: User };

/** Claims of each scope; the ID token carries them when the access token is not for userinfo. */
export const claims = {
  openid: ['sub', 'tenant_id'],
  profile: ['name', 'updated_at'],
  email: ['email', 'email_verified'],
};

/**
 * The user of this `sub` in the request's tenant. Undefined, and so no token, when unknown, of another tenant, or not active,
 * or when the tenant is not, or may not use the client.
 */
export function makeFindAccount(catalogue: Catalogue) {
  return async (ctx: KoaContextWithOIDC, sub: string): Promise<UserAccount | undefined> => {
    const tenant_id = requestTenantId();
    if (tenant_id === undefined || !isUuid(sub)) {
      return undefined;
    }
    const [tenant, user] = await Promise.all([
      catalogue.findTenant(tenant_id),
      requestTx().then((tx) => findUser(tx, sub)),
    ]);
    if (tenant?.status !== 'active' || user?.status !== 'active' || !mayUse(ctx.oidc.client, tenant)) {
      return undefined;
    }
    return {
      accountId: sub,
      user,
      async claims() {
        return {
          sub,
          tenant_id,
          email: user.email,
          email_verified: user.email_verified,
          name: user.name ?? undefined,
          updated_at: Math.floor(user.updated_at.getTime() / 1000),
        };
      },
    };
  };
}

/** A shared client that may not serve the tenant any more knows none of its users. */
function mayUse(client: Client | undefined, tenant: Tenant): boolean {
  const members = client && clientMembers(client);
  return !members?.shared || mayServe(members, tenant);
}

/** The account that the library loaded for this request. */
export function accountOf(ctx: KoaContextWithOIDC): UserAccount | undefined {
  return ctx.oidc.account as UserAccount | undefined;
}
