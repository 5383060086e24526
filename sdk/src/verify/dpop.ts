import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, compactVerify, type JWK } from 'jose';
import { type Algorithm, isPublic } from './algorithms.ts';
import { TokenError } from './errors.ts';
import { readJws } from './jws.ts';
import { importKey } from './key-set.ts';
import { makeReplayMemory, type Replay } from './replay.ts';

/** The request that a token came with. */
export interface VerifyRequest {
  method: string;
  /** Absolute, as the client sees it: from the service's public origin, never from its Host header. */
  url: string;
  /** The value of the DPoP header. */
  proof?: string | undefined;
  /** The scheme of the Authorization header. Without it: 'dpop' when there is a proof. */
  scheme?: 'bearer' | 'dpop' | undefined;
}

export interface ProofOptions {
  proofAlgorithms: readonly Algorithm[];
  proofMaxAge: number;
  tolerance: number;
  replay: Replay | undefined;
}

/** A token that is bound to the key with this thumbprint. */
interface Bound {
  text: string;
  jkt: string;
}

/**
 * The check of DPoP proofs (RFC 9449 sections 4.3 and 7.1) at a time in seconds: form, algorithm, signature by the
 * key in its header, method, URL without query and fragment, age, hash of the token, the token's key, and single use.
 * Throws proof_invalid, not_bound or proof_replayed. A nonce is not asked for.
 *
 * Proofs are remembered per process; `replay` is asked as well and is what several processes have in common.
 */
export function makeProofCheck({ proofAlgorithms, proofMaxAge, tolerance, replay }: ProofOptions) {
  const lifetime = proofMaxAge + 2 * tolerance;
  const remember = makeReplayMemory(lifetime);

  return async (proof: string, request: VerifyRequest, bound: Bound, at: number): Promise<void> => {
    const { payload, jkt } = await verifySignature(proof, proofAlgorithms);
    const { jti, htm, htu, iat, ath } = payload;
    if (typeof jti !== 'string' || jti === '' || jti.length > 256) throw invalid('it has no usable jti');
    if (htm !== request.method) throw invalid('it is for another method');
    const target = normaliseUrl(request.url);
    if (target === undefined || typeof htu !== 'string' || normaliseUrl(htu) !== target) {
      throw invalid('it is for another URL');
    }
    if (typeof iat !== 'number' || !Number.isFinite(iat)) throw invalid('it has no usable iat');
    if (iat < at - proofMaxAge - tolerance || iat > at + tolerance) throw invalid('it is too old or too new');
    if (ath !== sha256(bound.text)) throw invalid('it is for another token');
    if (jkt !== bound.jkt) {
      throw new TokenError('not_bound', 'The token is not bound to the key of the proof');
    }
    await useOnce(sha256(`${jkt} ${jti}`), at);
  };

  async function useOnce(key: string, at: number): Promise<void> {
    const use = remember(key, at);
    if (use === 'full') throw invalid('too many proofs are remembered to take another, try again later');
    if (use === 'again' || (replay && (await replay(key, new Date((at + lifetime) * 1000))) !== true)) {
      throw new TokenError('proof_replayed', 'The DPoP proof was used before');
    }
  }
}

async function verifySignature(proof: string, algorithms: readonly Algorithm[]) {
  const jws = readJws(proof, 'jwk');
  if (typeof jws === 'string') throw invalid(jws);
  const { header, payload } = jws;
  if (header['typ'] !== 'dpop+jwt') throw invalid('its typ is not dpop+jwt');
  const algorithm = algorithms.find((name) => name === header['alg']);
  if (!algorithm) throw invalid('its algorithm is not accepted');
  const jwk = header['jwk'];
  if (typeof jwk !== 'object' || jwk === null || !isPublic(jwk as JWK)) {
    throw invalid('its header holds no public key');
  }
  const key = await importKey(jwk as JWK, algorithm);
  if (!key) throw invalid('its key is not one for its algorithm');
  try {
    await compactVerify(proof, key, { algorithms: [algorithm] });
  } catch {
    throw invalid('its signature is wrong');
  }
  return { payload, jkt: await calculateJwkThumbprint(jwk as JWK) };
}

// RFC 9449 section 4.3 and RFC 3986 section 6.2: what two spellings of one URL may differ in. URL does case, default
// port and dots; percent-encoding is left.
function normaliseUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, origin, pathname, username, password } = new URL(text);
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') return undefined;
  return origin + pathname.replace(/%[0-9a-f]{2}/gi, normaliseEscape);
}

function normaliseEscape(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return /[\w.~-]/.test(character) ? character : encoded.toUpperCase();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function invalid(reason: string): TokenError {
  return new TokenError('proof_invalid', `The DPoP proof is not accepted: ${reason}`);
}
