import type { Context } from 'koa';
import type Provider from 'oidc-provider';
import type { User } from '#src/domain/users/users.ts';
import { findSessionUser } from './account.ts';
import type { CookieNames } from './cookies.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';

/** What a browser is signed in with. */
export interface BrowserSession {
  uid: string;
  /** The name under which the database knows `uid`. */
  uid_key: Buffer;
  /** When the person last proved who they are. Seconds. */
  signed_in_at: number;
  /** Undefined when the user may not go on, or not with a sign-in of that time. */
  user: User | undefined;
}

/** The sessions of browsers, for pages of our own. */
export interface BrowserSessions {
  /** The tenants that this browser holds a session cookie of, at most twenty. */
  listTenantIds(ctx: Context): string[];
  /** The session of the cookie of the request's tenant, which must be known; undefined when nobody is signed in there. */
  find(provider: Provider, ctx: Context): Promise<BrowserSession | undefined>;
}

export function makeBrowserSessions({
  cipher,
  cookies,
}: {
  cipher: ProtocolCipher;
  cookies: CookieNames;
}): BrowserSessions {
  return {
    listTenantIds: (ctx) => [...new Set(cookies.sessionTenants(ctx.get('cookie')))].slice(0, 20),
    async find(provider, ctx) {
      const { uid, accountId, loginTs = 0 } = await provider.Session.get(ctx as never);
      if (accountId === undefined) {
        return undefined;
      }
      return {
        uid,
        uid_key: cipher.key('uid', uid),
        signed_in_at: loginTs,
        user: await findSessionUser({ accountId, loginTs }),
      };
    },
  };
}
