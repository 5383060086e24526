import type { JWK } from 'jose';

// What a key must be for the algorithm (RFC 7518 section 3.1, RFC 8037, RFC 9864). Asymmetric ones only: with a
// symmetric one, whoever can verify could sign.
const algorithms = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
} as const;

/** A signature algorithm that a verifier can be told to accept. */
export type Algorithm = keyof typeof algorithms;

export const algorithmNames = Object.keys(algorithms) as Algorithm[];

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** Whether a JWK is a public key alone. */
export function isPublic(jwk: Record<string, unknown>): boolean {
  return !privateMembers.some((name) => Object.hasOwn(jwk, name));
}

/** The public members of a JWK that is meant for verifying with this algorithm; undefined for any other. */
export function keyFor(algorithm: Algorithm, jwk: Record<string, unknown>): JWK | undefined {
  const { kty, crv, alg, use, key_ops, x, y, n, e } = jwk;
  const wanted: { kty: string; crv?: string } = algorithms[algorithm];
  if (kty !== wanted.kty || (wanted.crv !== undefined && crv !== wanted.crv)) return undefined;
  if (alg !== undefined && alg !== algorithm) return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify'))) return undefined;
  const members = kty === 'EC' ? { crv, x, y } : kty === 'RSA' ? { n, e } : { crv, x };
  return Object.values(members).every((value) => typeof value === 'string')
    ? ({ kty, ...members } as JWK)
    : undefined;
}
