import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { Problem } from './problem.ts';

declare const verified: unique symbol;

/** What the API believes about a caller. Only `makeVerifyToken` makes one, and `withTenant` takes nothing else. */
export type VerifiedToken = {
  readonly tenant_id: string;
  readonly sub: string;
  readonly client_id: string;
  readonly scope: string;
  readonly [verified]: true;
};

export type VerifyToken = (authorization: string | undefined, scope: string) => Promise<VerifiedToken>;

export const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const realm = 'Bearer realm="orders-api"';

/**
 * Gives the function that turns an Authorization header into a `VerifiedToken` that holds `scope`, or throws a
 * `Problem`: 401 for no token or one that fails RFC 9068 section 4, 403 when only the scope is missing (both
 * with the challenge of RFC 6750 section 3), 503 when the issuer's keys cannot be fetched.
 *
 * Keys come from the issuer's `/jwks`, are kept for ten minutes, and are fetched again, at most every
 * 30 seconds, for a key id not seen before: a rotated key works at once.
 */
export function makeVerifyToken({ issuer, audience }: { issuer: string; audience: string }): VerifyToken {
  const getKey = keysOf(issuer);
  return async (authorization, scope) => {
    const token = readBearer(authorization);
    const verifiedToken = readClaims(await verifyJwt(token, getKey, { issuer, audience }));
    if (!verifiedToken.scope.split(' ').includes(scope)) throw insufficientScope(scope);
    return verifiedToken;
  };
}

function readBearer(authorization: string | undefined): string {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  // A request that brings no token is told the scheme and no error code (RFC 6750 section 3.1).
  if (!token)
    throw new Problem(401, 'unauthorized', { detail: 'A bearer token is required', challenge: realm });
  return token;
}

async function verifyJwt(
  token: string,
  getKey: JWTVerifyGetKey,
  expected: { issuer: string; audience: string },
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, getKey, {
      ...expected,
      // Says which token this is: an ID token of the same issuer is signed as well, but grants nothing.
      typ: 'at+jwt',
      // Chosen here, never by the token: rules out `none`, and HS256 keyed with a public key.
      algorithms: ['ES256'],
      requiredClaims: ['exp', 'iat', 'jti'],
      clockTolerance: 15,
    });
    return payload;
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw invalidToken(error instanceof errors.JOSEError ? error.message : 'The token cannot be read', error);
  }
}

function readClaims(payload: JWTPayload): VerifiedToken {
  const { tenant_id, sub, client_id, scope = '', cnf } = payload;
  // A token bound to its holder's key is worth nothing without the proof (RFC 9449 section 7.2, RFC 8705).
  if (cnf !== undefined) throw invalidToken('A sender-constrained token is not accepted as a bearer token');
  if (typeof tenant_id !== 'string' || !uuid.test(tenant_id)) throw invalidToken('tenant_id is not a uuid');
  if (typeof sub !== 'string' || sub === '') throw invalidToken('sub is missing');
  if (typeof client_id !== 'string' || client_id === '') throw invalidToken('client_id is missing');
  if (typeof scope !== 'string') throw invalidToken('scope is not a string');
  return { tenant_id, sub, client_id, scope } as VerifiedToken;
}

// An issuer that cannot be reached says nothing about the token, so it must read neither 401 nor 500.
function keysOf(issuer: string): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(`${issuer.replace(/\/$/, '')}/jwks`));
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) throw error;
      if (error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw new Problem(503, 'issuer_unavailable', { cause: error });
    }
  };
}

function invalidToken(detail: string, cause?: unknown): Problem {
  return new Problem(401, 'invalid_token', { detail, cause, challenge: `${realm}, error="invalid_token"` });
}

function insufficientScope(scope: string): Problem {
  const challenge = `${realm}, error="insufficient_scope", scope="${scope}"`;
  return new Problem(403, 'insufficient_scope', { detail: `The scope ${scope} is required`, challenge });
}
