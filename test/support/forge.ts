import { createHmac, createPublicKey, sign } from 'node:crypto';
import { CompactEncrypt, type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { Insider } from './insider.ts';

type Json = Record<string, unknown>;

export const encodePart = (value: Json | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const decodePart = (part: string): Json => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));

export function readJwt(token: string) {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return { header: decodePart(header), payload: decodePart(payload), parts: [header, payload, signature] };
}

/** Signs these bytes of header and payload with an ES256 key, whatever they say. */
function signRaw(header: Json | string, payload: Json | string, jwk: JWK): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`;
  const key = { key: jwk, format: 'jwk' as const, dsaEncoding: 'ieee-p1363' as const };
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

/** RFC 3279: what a signature of JOSE looks like to the rest of the world. */
function toDer(signature: Buffer): Buffer {
  const integer = (bytes: Buffer) => {
    const trimmed = bytes.subarray(
      Math.max(
        0,
        bytes.findIndex((byte) => byte !== 0),
      ),
    );
    const positive = trimmed[0]! & 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed;
    return Buffer.concat([Buffer.from([2, positive.length]), positive]);
  };
  const body = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

export interface ForgeOptions {
  insider: Insider;
  /** Where keys are offered that nobody may fetch. */
  listener: string;
}

/** A token under a name that says what is wrong with it. */
export type Forgery = [name: string, token: string];

/**
 * Forgeries of a good ES256 token of this server: those that anybody could make, and those that only the server itself could
 * have signed.
 */
export async function forgeries(
  token: string,
  { insider, listener }: ForgeOptions,
): Promise<{ anybodys: Forgery[]; servers: Forgery[] }> {
  const { header, payload, parts } = readJwt(token);
  const [head, body, signature] = parts as [string, string, string];
  const { private_jwk } = await insider.signingKey('ES256');
  const real = private_jwk as JWK;
  const { d: _, ...realPublic } = real;
  const attacker = await generateKeyPair('ES256', { extractable: true });
  const attackerJwk = await exportJWK(attacker.publicKey);
  const rsa = await insider.signingKey('RS256');
  const bytes = Buffer.from(signature, 'base64url');
  const flipped = Buffer.from(bytes);
  flipped[40]! ^= 1;

  const unsigned = (alg: string) => `${encodePart({ ...header, alg })}.${body}.`;
  const mac = (change: Json, key: string | Buffer) => {
    const input = `${encodePart({ ...header, alg: 'HS256', ...change })}.${body}`;
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
  };
  const byStranger = (change: Json) =>
    new SignJWT(payload).setProtectedHeader({ ...header, alg: 'ES256', ...change }).sign(attacker.privateKey);
  const tampered = (change: Json | string) =>
    [head, encodePart(typeof change === 'string' ? change : { ...payload, ...change }), signature].join('.');
  const byServer = (change: Json, headerChange: Json = {}) =>
    signRaw({ ...header, ...headerChange }, { ...payload, ...change }, real);
  const wrap = (change: Json) =>
    new CompactEncrypt(Buffer.from(token))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', ...change })
      .encrypt(createPublicKey({ key: realPublic, format: 'jwk' }));
  const now = Math.floor(Date.now() / 1000);

  const anybodys: Forgery[] = [
    ['alg none', unsigned('none')],
    ['alg None', unsigned('None')],
    ['alg nOnE', unsigned('nOnE')],
    ['alg none with the old signature', `${unsigned('none')}${signature}`],
    ['two parts', `${head}.${body}`],
    ['two parts and a dot', `${head}.${body}.`],
    [
      'HS256 keyed with the public PEM',
      mac({}, createPublicKey({ key: realPublic, format: 'jwk' }).export({ type: 'spki', format: 'pem' })),
    ],
    ['HS256 keyed with the JWK', mac({}, JSON.stringify(realPublic))],
    ['HS256 keyed with nothing', mac({}, '')],
    ['a stranger’s key in jwk', await byStranger({ jwk: attackerJwk, kid: undefined })],
    ['a stranger’s key in jwk under the real kid', await byStranger({ jwk: attackerJwk })],
    ['a stranger’s key by jku', await byStranger({ jku: `${listener}/jwks` })],
    ['a stranger’s key by x5u', await byStranger({ x5u: `${listener}/cert` })],
    ['a stranger’s key under the real kid', await byStranger({})],
    ['kid of a path', mac({ kid: '../../dev/null' }, '')],
    ['kid of SQL', await byStranger({ kid: "' OR 1=1--" })],
    ['kid of 6 kB', await byStranger({ kid: 'k'.repeat(6_000) })],
    ['kid of another key of this server', await byStranger({ kid: rsa.kid })],
    ['kid unknown', await byStranger({ kid: 'unknown' })],
    ['kid missing', await byStranger({ kid: undefined })],
    ['a flipped bit', [head, body, flipped.toString('base64url')].join('.')],
    ['another tenant', tampered({ tenant_id: '00000000-0000-4000-8000-000000000001' })],
    ['another sub', tampered({ sub: '00000000-0000-4000-8000-000000000001' })],
    ['sub twice', tampered(`${JSON.stringify(payload).slice(0, -1)},"sub":"other"}`)],
    ['exp for ever', tampered(JSON.stringify({ ...payload, exp: 0 }).replace('"exp":0', '"exp":1e400'))],
    ['r and s zero', [head, body, Buffer.alloc(64).toString('base64url')].join('.')],
    ['a signature in DER', [head, body, toDer(bytes).toString('base64url')].join('.')],
    ['wrapped in a JWE', await wrap({})],
    [
      'wrapped in a JWE with zip',
      [encodePart({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' }), '', 'AA', 'AA', 'AA'].join('.'),
    ],
  ];
  const servers: Forgery[] = [
    ['crit that is not understood, signed', byServer({}, { crit: ['evil'], evil: true })],
    ['b64 false, signed', byServer({}, { crit: ['b64'], b64: false })],
    ['exp as text, signed', byServer({ exp: String(now + 300) })],
    ['another issuer, signed', byServer({ iss: 'https://evil.test' })],
    ['the issuer with a slash, signed', byServer({ iss: `${payload['iss']}/` })],
    ['another audience, signed', byServer({ aud: 'https://evil.test' })],
    ['no audience, signed', byServer({ aud: undefined })],
    [
      'alg RS256 by the real RSA key',
      await signAs(payload, { ...header, alg: 'RS256', kid: rsa.kid }, rsa.key),
    ],
  ];
  return { anybodys, servers };
}

function signAs(payload: Json, header: Json, key: unknown): Promise<string> {
  return new SignJWT(payload)
    .setProtectedHeader({ ...header, alg: String(header['alg']) })
    .sign(key as CryptoKey);
}
