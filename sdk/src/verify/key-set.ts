import { type CryptoKey, importJWK } from 'jose';
import { type Algorithm, isPublic, keyFor } from './algorithms.ts';

/** A key of the issuer. The same object for as long as the issuer publishes the same key under the same name. */
export interface Key {
  readonly kid: string;
  /** What was published, to tell whether a later set says the same. */
  readonly published: string;
  /** The key for an algorithm; undefined when it is not one for it, or is too weak. Imported once. */
  for(algorithm: Algorithm): Promise<CryptoKey | undefined>;
}

export type KeySet = ReadonlyMap<string, Key>;

const maxKeys = 100;

/**
 * The usable keys of a JWK set (RFC 7517 section 5) by `kid`; undefined when it is no JWK set. Left out: keys
 * without a `kid`, private and symmetric keys, and the second key of a name. Keys that `earlier` has are taken over.
 */
export function readKeySet(document: Record<string, unknown>, earlier?: KeySet): KeySet | undefined {
  const { keys: listed } = document;
  if (!Array.isArray(listed) || listed.length > maxKeys) return undefined;
  const keys = new Map<string, Key>();
  for (const jwk of listed) {
    if (typeof jwk !== 'object' || jwk === null || typeof jwk.kid !== 'string') continue;
    if (!isPublic(jwk) || keys.has(jwk.kid)) continue;
    const known = earlier?.get(jwk.kid);
    const published = JSON.stringify(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)));
    keys.set(jwk.kid, known?.published === published ? known : makeKey(jwk, published));
  }
  return keys;
}

function makeKey(jwk: Record<string, unknown> & { kid: string }, published: string): Key {
  const imported = new Map<Algorithm, Promise<CryptoKey | undefined>>();
  return {
    kid: jwk.kid,
    published,
    for(algorithm) {
      let key = imported.get(algorithm);
      if (!key) {
        key = importKey(jwk, algorithm);
        imported.set(algorithm, key);
      }
      return key;
    },
  };
}

/**
 * Imports a public JWK for verifying with this algorithm. Undefined when it is not meant for it, is no point of its
 * curve, or is RSA of less than 2048 bits (RFC 7518 section 3.3).
 */
export async function importKey(
  jwk: Record<string, unknown>,
  algorithm: Algorithm,
): Promise<CryptoKey | undefined> {
  const usable = keyFor(algorithm, jwk);
  if (!usable) return undefined;
  try {
    const key = (await importJWK(usable, algorithm)) as CryptoKey;
    const { modulusLength } = key.algorithm as { modulusLength?: number };
    return modulusLength !== undefined && modulusLength < 2048 ? undefined : key;
  } catch {
    return undefined;
  }
}
