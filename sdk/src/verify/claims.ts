import { TokenError } from './errors.ts';
import { markVerified, type VerifiedToken } from './verified-token.ts';

type Claims = Record<string, unknown>;

/** What the claims say, checked and in the forms that the verifier works with. Times are seconds since 1970. */
export interface Reading {
  token: VerifiedToken;
  notBefore: number;
  expiresAt: number;
  jkt: string | undefined;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** The last second that a Date can hold. */
const lastSecond = 8.64e12;

/**
 * The claims of an access token whose signature and issuer are good (RFC 9068 section 4, and `tenant_id`). Throws
 * a TokenError for a claim that is missing or of the wrong form, and for an audience of others. Whether the token
 * is in time is not looked at; `tolerance` says how many seconds after its time a transaction may still begin with it.
 */
export function readClaims(claims: Claims, audiences: readonly string[], tolerance: number): Reading {
  const exp = readTime(claims, 'exp');
  const iat = readTime(claims, 'iat');
  const nbf = Object.hasOwn(claims, 'nbf') ? readTime(claims, 'nbf') : iat;
  if (!isFor(claims['aud'], audiences)) {
    throw new TokenError('wrong_audience', 'The token is meant for another resource server');
  }
  readText(claims, 'jti');
  const tenantId = readText(claims, 'tenant_id');
  if (!uuid.test(tenantId)) throw malformed('tenant_id', 'a uuid');
  const accepted = {
    tenantId,
    subject: readText(claims, 'sub'),
    clientId: readText(claims, 'client_id'),
    scopes: readScopes(claims),
    claims: freeze(claims),
    expiresAt: new Date(exp * 1000),
  };
  const token = markVerified(accepted, new Date(Math.min(exp + tolerance, lastSecond) * 1000));
  return { token, notBefore: Math.max(nbf, iat), expiresAt: exp, jkt: readThumbprint(claims) };
}

function need(claims: Claims, name: string): unknown {
  if (!Object.hasOwn(claims, name)) throw new TokenError('missing_claim', `The token has no ${name}`);
  return claims[name];
}

// JSON knows 1e400, which reads as infinite, and a Date ends long before numbers do.
function readTime(claims: Claims, name: string): number {
  const value = need(claims, name);
  if (typeof value !== 'number' || !(value >= 0 && value <= lastSecond)) {
    throw malformed(name, 'a number of seconds');
  }
  return value;
}

// 255 as in OpenID Connect Core section 2; control characters and half characters have no place in a name, and
// PostgreSQL stores neither.
function readText(claims: Claims, name: string): string {
  const value = need(claims, name);
  if (typeof value !== 'string' || value === '' || value.length > 255) throw malformed(name, 'a short text');
  if (/\p{Cc}/u.test(value) || !value.isWellFormed()) throw malformed(name, 'a printable text');
  return value;
}

function isFor(aud: unknown, audiences: readonly string[]): boolean {
  const named: unknown[] = Array.isArray(aud) ? aud : [aud];
  return named.every((name) => typeof name === 'string') && named.some((name) => audiences.includes(name));
}

function readScopes({ scope = '' }: Claims): ReadonlySet<string> {
  if (typeof scope !== 'string') throw malformed('scope', 'a text');
  const scopes = new Set(scope.split(' ').filter((name) => name !== ''));
  // The object is shared by all requests with this token: nobody may add to what was verified.
  const value = () => {
    throw new TypeError('The scopes of a verified token cannot be changed');
  };
  return Object.freeze(
    Object.defineProperties(scopes, { add: { value }, delete: { value }, clear: { value } }),
  );
}

// RFC 7800: `cnf` says that the token is worth nothing without its holder's key. A binding by anything but a DPoP
// key cannot be checked here, and unchecked it must not pass.
function readThumbprint({ cnf }: Claims): string | undefined {
  if (cnf === undefined) return undefined;
  const { jkt, ...others } = typeof cnf === 'object' && cnf !== null ? (cnf as Claims) : {};
  if (typeof jkt !== 'string' || jkt === '' || Object.keys(others).length > 0) {
    throw malformed('cnf', 'a DPoP key thumbprint, the only binding that is checked here');
  }
  return jkt;
}

function malformed(name: string, wanted: string): TokenError {
  return new TokenError('malformed_token', `The claim ${name} is not ${wanted}`);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member);
    Object.freeze(value);
  }
  return value;
}
