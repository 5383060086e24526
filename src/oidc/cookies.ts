import { createSecretKey } from 'node:crypto';
import type { Configuration } from 'oidc-provider';
import { isTenantId } from '#src/database/tenant.ts';
import { ttl } from './ttl.ts';

export interface CookieNames {
  names: { session: string; interaction: string; resume: string };
  options: CookieOptions;
  /** Whose session a sign-out is about to end, between its page and its confirmation. */
  logout: string;
  logoutOptions: CookieOptions;
  /** What a browser is known by to the users of one tenant who signed in there before. */
  device(tenant_id: string): string;
  deviceOptions: CookieOptions & { maxAge: number };
  /** What binds a sign-in for our own account page to the browser that asked for it. */
  account: string;
  accountOptions: CookieOptions & { path: string; maxAge: number };
  /** The session cookie of one tenant; several live side by side in one browser. */
  session(tenant_id: string | undefined): string;
  /** The tenants that this browser holds a session cookie of. */
  sessionTenants(header: string): string[];
}

interface CookieOptions {
  httpOnly: true;
  overwrite: true;
  sameSite: 'lax';
  secure: boolean;
  signed: true;
}

/** As long as browsers keep a cookie. Milliseconds. */
const deviceMs = 400 * 24 * 3_600_000;

/**
 * Over https a cookie of the whole site is `__Host-`, which no sibling domain can set; those with a path are `__Secure-`. Plain http
 * (development on localhost) has neither.
 */
export function makeCookies(issuer: string): CookieNames {
  const secure = issuer.startsWith('https:');
  const host = secure ? '__Host-' : '';
  const path = secure ? '__Secure-' : '';
  const options: CookieOptions = { httpOnly: true, overwrite: true, sameSite: 'lax', secure, signed: true };
  const session = `${host}session`;
  return {
    names: { session, interaction: `${path}interaction`, resume: `${path}resume` },
    options,
    logout: `${host}logout`,
    logoutOptions: options,
    device: (tenant_id) => `${host}device-${tenant_id}`,
    deviceOptions: { ...options, maxAge: deviceMs },
    account: `${path}account`,
    // As long as the sign-in may take.
    accountOptions: { ...options, path: '/account', maxAge: ttl.Interaction * 1000 },
    session: (tenant_id) => (tenant_id === undefined ? session : `${session}-${tenant_id}`),
    sessionTenants: (header) =>
      header
        .split(';')
        .map((cookie) => cookie.trim().split('=')[0]!)
        .filter((name) => name.startsWith(`${session}-`))
        .map((name) => name.slice(session.length + 1))
        .filter(isTenantId),
  };
}

/** The library's cookie settings: signed with the newest key, verified with all. */
export function cookieConfiguration(
  { names, options }: CookieNames,
  keys: Buffer[],
): Configuration['cookies'] {
  // Bytes would be made a key at every use, which costs several times the signature.
  const keyObjects = keys.map((key) => createSecretKey(key));
  return { names, long: options, short: options, keys: keyObjects as unknown as string[] };
}
