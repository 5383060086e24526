import type { Account, Client, KoaContextWithOIDC } from 'oidc-provider';
import { isTenantId as isUuid } from '#src/database/tenant.ts';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { findUser, type User } from '#src/domain/users/users.ts';
import { clientMembers } from './client-metadata.ts';
import { requestStore, requestTenantId, requestTx } from './request-store.ts';
import { mayServe } from './tenancy.ts';

export type UserAccount = Account & { user: User };

/** Claims of each scope; the ID token carries them when the access token is not for userinfo. */
export const claims = {
  openid: ['sub', 'tenant_id'],
  profile: ['name', 'updated_at'],
  email: ['email', 'email_verified'],
};

/** What a request is made with, and when its user signed in. Seconds. */
type SignedIn = { authTime?: number | undefined; iat?: number | undefined };

/** So far the clocks of two nodes may differ. Seconds. */
const clockTolerance = 15;

/**
 * The user of this `sub` in the request's tenant. Undefined, and so no token, when unknown, of another tenant, or not active,
 * when the sign-in does not count any more, or when the tenant is not active or may not use the client.
 */
export function makeFindAccount(catalogue: Catalogue) {
  return async (ctx: KoaContextWithOIDC, sub: string, token?: SignedIn): Promise<UserAccount | undefined> => {
    const tenant_id = requestTenantId();
    if (tenant_id === undefined || !isUuid(sub)) {
      return undefined;
    }
    const [tenant, user] = await Promise.all([catalogue.findTenant(tenant_id), readUser(sub)]);
    if (tenant?.status !== 'active' || user?.status !== 'active' || !mayUse(ctx.oidc.client, tenant)) {
      return undefined;
    }
    if (isOver(user, token, ctx.oidc.session?.loginTs)) {
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

/** The active user of a session in the request's tenant; undefined when its sign-in does not count any more. */
export async function findSessionUser({
  accountId,
  loginTs,
}: {
  accountId: string;
  loginTs?: number | undefined;
}): Promise<User | undefined> {
  const user = isUuid(accountId) ? await readUser(accountId) : undefined;
  return user?.status === 'active' && !isOver(user, undefined, loginTs) ? user : undefined;
}

/** The user that came with the row that was presented, else read now. */
async function readUser(sub: string): Promise<User | undefined> {
  const { user } = requestStore();
  return user?.id === sub ? user : findUser(await requestTx(), sub);
}

/** Whether the sign-in came before the user's sessions were ended. An access token knows only when it was made itself. */
function isOver(
  { sessions_valid_from }: User,
  token: SignedIn | undefined,
  loginTs: number | undefined,
): boolean {
  if (sessions_valid_from === null) {
    return false;
  }
  const madeAt = token?.iat === undefined ? undefined : token.iat + clockTolerance;
  const signedInAt = token ? (token.authTime ?? madeAt) : loginTs;
  return signedInAt === undefined || signedInAt < Math.floor(sessions_valid_from.getTime() / 1000);
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
