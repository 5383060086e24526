import type { Context } from 'koa';
import type Provider from 'oidc-provider';
import { isDeviceSecret } from '#src/domain/credentials/known-devices.ts';
import { makeCookies } from '#src/oidc/cookies.ts';

export interface DeviceCookie {
  /** The secrets that the browser shows, the newest first; none when the cookie is not signed by us. */
  read(): string[];
  /** Puts the secret in front of the others, and keeps five in all. */
  keep(secret: string): void;
}

/** So many people may use one browser in turn before the first of them is a stranger again. */
const mostSecrets = 5;

/** The cookie by which a browser is known to those who signed in there before, in this tenant. Signed with the keys of the sessions. */
export function deviceCookie(
  ctx: Context,
  { provider, issuer, tenant_id }: { provider: Provider; issuer: string; tenant_id: string },
): DeviceCookie {
  const { device, deviceOptions } = makeCookies(issuer);
  const { cookies } = provider.createContext(ctx.req, ctx.res);
  const read = () =>
    (cookies.get(device(tenant_id), deviceOptions) ?? '')
      .split('.')
      .filter(isDeviceSecret)
      .slice(0, mostSecrets);
  return {
    read,
    keep(secret) {
      const secrets = [secret, ...read().filter((other) => other !== secret)];
      cookies.set(device(tenant_id), secrets.slice(0, mostSecrets).join('.'), deviceOptions);
    },
  };
}
