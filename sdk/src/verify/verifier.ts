import { compactVerify } from 'jose';
import type { Algorithm } from './algorithms.ts';
import { readClaims } from './claims.ts';
import { makeProofCheck, type VerifyRequest } from './dpop.ts';
import { TokenError } from './errors.ts';
import { readJws } from './jws.ts';
import type { Key } from './key-set.ts';
import { makeKeys } from './keys.ts';
import { checkOptions, type VerifierOptions } from './options.ts';
import { requireScopes } from './scopes.ts';
import { type CachedToken, makeTokenCache } from './token-cache.ts';
import type { VerifiedToken } from './verified-token.ts';

export interface VerifyOptions {
  /** Scopes that the token must have, all of them: a list, or a text with spaces between. */
  scope?: string | readonly string[] | undefined;
}

export interface Verifier {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly proofAlgorithms: readonly Algorithm[];
  /**
   * What an access token says, once all of it has been checked; else a TokenError. A token that is bound to a key
   * needs the `request` that it came with, and passes once for each proof.
   */
  verify(token: string, request?: VerifyRequest, options?: VerifyOptions): Promise<VerifiedToken>;
}

/**
 * A verifier of JWT access tokens (RFC 9068) of one issuer for this resource server. Fetches the issuer's keys at the
 * first token, keeps verifying while the issuer is down, and remembers verified tokens, whose times, key, proof,
 * revocation and scopes are still checked each time. Throws a TypeError for options that are wrong.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const checked = checkOptions(options);
  const { issuer, audiences, algorithms, proofAlgorithms, tolerance, isRevoked, now } = checked;
  const keys = makeKeys(checked);
  const cache = makeTokenCache(checked.cacheSize);
  const checkProof = makeProofCheck(checked);

  async function find(text: string, at: number): Promise<CachedToken> {
    const cached = cache.get(text);
    if (cached) {
      const wait = keys.touch(at);
      if (wait) await wait;
      if (keys.has(cached.key)) return cached;
      cache.delete(text);
    }
    const { payload, kid, algorithm } = readToken(text, issuer, algorithms);
    const key = await findKey(kid, at);
    await verifyWith(key, algorithm, text);
    const entry = { ...readClaims(payload, audiences, tolerance), key };
    // A token out of time is answered as such, and not kept.
    checkTimes(entry, at, tolerance);
    cache.set(text, entry);
    return entry;
  }

  async function findKey(kid: string, at: number): Promise<Key> {
    const wait = keys.touch(at);
    if (wait) await wait;
    const key = await keys.find(kid, at, wait !== undefined);
    if (!key) {
      throw new TokenError('unknown_key', 'The token is signed with a key that the issuer does not publish');
    }
    return key;
  }

  return {
    issuer,
    audiences,
    proofAlgorithms,
    async verify(text, request, { scope } = {}) {
      const at = now().getTime() / 1000;
      const entry = await find(readText(text), at);
      checkTimes(entry, at, tolerance);
      const proof = requireProof(entry, request);
      if (proof) await checkProof(proof.text, proof.request, { text, jkt: proof.jkt }, at);
      if (isRevoked && (await isRevoked(entry.token)) !== false) {
        throw new TokenError('revoked', 'The token was revoked');
      }
      if (scope !== undefined) requireScopes(entry.token, scope);
      return entry.token;
    },
  };
}

function readText(text: unknown): string {
  if (text === undefined || text === '') throw new TokenError('missing_token', 'An access token is required');
  if (typeof text !== 'string') throw new TokenError('malformed_token', 'The token is not a text');
  return text;
}

// All that can be refused without a key, so that only what looks like a token of this issuer may ask for one.
function readToken(text: string, issuer: string, algorithms: readonly Algorithm[]) {
  const jws = readJws(text);
  if (typeof jws === 'string') throw new TokenError('malformed_token', `The token is not readable: ${jws}`);
  const { header, payload } = jws;
  const algorithm = algorithms.find((name) => name === header['alg']);
  if (!algorithm)
    throw new TokenError('wrong_algorithm', 'The token is signed with an algorithm that is not accepted');
  const { typ, kid } = header;
  // Media types are compared without regard to case, with or without `application/` (RFC 7515 section 4.1.9).
  if (typeof typ !== 'string' || !/^(application\/)?at\+jwt$/i.test(typ)) {
    throw new TokenError('wrong_type', 'The token is not an access token: its typ is not at+jwt');
  }
  if (typeof kid !== 'string' || kid === '' || kid.length > 256) {
    throw new TokenError('unknown_key', 'The token does not name its key');
  }
  if (payload['iss'] !== issuer) throw new TokenError('wrong_issuer', 'The token is of another issuer');
  return { payload, kid, algorithm };
}

async function verifyWith(key: Key, algorithm: Algorithm, text: string): Promise<void> {
  const imported = await key.for(algorithm);
  if (!imported)
    throw new TokenError('wrong_algorithm', 'The token names a key that is not one for its algorithm');
  try {
    await compactVerify(text, imported, { algorithms: [algorithm] });
  } catch {
    throw new TokenError('bad_signature', 'The signature of the token is wrong');
  }
}

function checkTimes({ notBefore, expiresAt }: CachedToken, at: number, tolerance: number): void {
  if (at >= expiresAt + tolerance) throw new TokenError('expired', 'The token has expired');
  if (at < notBefore - tolerance) throw new TokenError('not_yet_valid', 'The token is not valid yet');
}

// RFC 9449 section 7.2: a bound token is no bearer token, and a free one proves nothing under the scheme DPoP.
function requireProof({ jkt }: CachedToken, request: VerifyRequest | undefined) {
  const { proof: text } = request ?? {};
  const scheme = request?.scheme ?? (text === undefined ? 'bearer' : 'dpop');
  if (jkt === undefined) {
    if (scheme !== 'dpop') return undefined;
    throw new TokenError('not_bound', 'The token is not bound to a key: it is a bearer token');
  }
  if (!request || scheme !== 'dpop' || text === undefined) {
    throw new TokenError('proof_required', 'The token is bound to a key: it needs a DPoP proof');
  }
  return { text, request, jkt };
}
