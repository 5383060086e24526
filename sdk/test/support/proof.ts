import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose';
import { type Json, makeKey, type SigningKey, without } from './issuer.ts';

export interface Holder extends SigningKey {
  /** The public key alone. */
  bare: JWK;
  jkt: string;
}

/** Somebody who has a key of their own and binds tokens to it. */
export async function makeHolder(alg = 'ES256'): Promise<Holder> {
  const key = await makeKey('unused', alg);
  const { kid: _kid, alg: _alg, use: _use, ...bare } = key.jwk;
  return { ...key, bare, jkt: await calculateJwkThumbprint(bare) };
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

export interface Place {
  method: string;
  url: string;
  token: string;
  /** Seconds since 1970. */
  at: number;
}

/** A good DPoP proof for this place but for these claims and header; undefined leaves one out. */
export async function prove(
  holder: Holder,
  place: Place,
  claims: Json = {},
  header: Json = {},
): Promise<string> {
  const all = {
    jti: crypto.randomUUID(),
    htm: place.method,
    htu: place.url,
    iat: place.at,
    ath: hashOf(place.token),
    ...claims,
  };
  return new SignJWT(without(all))
    .setProtectedHeader({
      ...without({ typ: 'dpop+jwt', jwk: holder.bare, ...header }),
      alg: String(header['alg'] ?? holder.alg),
    })
    .sign(holder.privateKey);
}
