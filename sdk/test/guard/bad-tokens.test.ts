import { createHmac, createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, exportSPKI } from 'jose';
import { createVerifier } from '../../src/index.ts';
import { type Api, ask, serve, startApi } from '../support/api.ts';
import {
  audience,
  encodePart,
  type Issuer,
  type Json,
  makeKey,
  readPart,
  signJws,
  startIssuer,
  tenantId,
} from '../support/issuer.ts';
import { makeHolder } from '../support/proof.ts';

let issuer: Issuer;
let api: Api;
/** Where keys are offered that nobody may fetch. */
let trap: Api;
let trapped = 0;
let good: string;

const attacker = await makeKey('attacker');

beforeAll(async () => {
  issuer = await startIssuer();
  issuer.jwks.push((await makeKey('rsa', 'RS256')).jwk);
  api = await startApi(issuer);
  trap = await serve((_, res) => {
    trapped += 1;
    res.end(JSON.stringify({ keys: [attacker.jwk] }));
  });
  good = await issuer.mint();
  expect((await ask(api.url, `Bearer ${good}`)).body).toEqual({ tenant: tenantId, subject: 'user-1' });
});
beforeEach(() => {
  issuer.fetched.length = 0;
});
afterAll(async () => {
  await api?.stop();
  await trap?.stop();
  await issuer?.stop();
});

type Case = [name: string, code: string, make: () => string | Promise<string>];

const parts = () => good.split('.') as [string, string, string];
const unsigned = (alg: string, signature = '') =>
  [encodePart({ ...readPart(parts()[0]), alg }), parts()[1], signature].join('.');
const mac = (key: string, header: Json = {}) => {
  const input = `${encodePart({ alg: 'HS256', typ: 'at+jwt', kid: 'first', ...header })}.${parts()[1]}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
};
const byAttacker = (header: Json) => issuer.mint({}, { kid: 'first', ...header }, attacker);
const tampered = (payload: Json | string) => [parts()[0], encodePart(payload), parts()[2]].join('.');
const withSignature = (change: (bytes: Buffer) => Buffer) => {
  const bytes = change(Buffer.from(parts()[2], 'base64url'));
  return [parts()[0], parts()[1], bytes.toString('base64url')].join('.');
};
const genuine = (payload: string, header: Json = {}) =>
  signJws({ alg: 'ES256', typ: 'at+jwt', kid: 'first', ...header }, payload, issuer.key.privateKey);
const claimsText = () => JSON.stringify(issuer.claims());

/** RFC 3279: what a signature of JOSE looks like to the rest of the world. */
function toDer(bytes: Buffer): Buffer {
  const integer = (half: Buffer) => {
    const padded = half[0]! & 0x80 ? Buffer.concat([Buffer.from([0]), half]) : half;
    return Buffer.concat([Buffer.from([2, padded.length]), padded]);
  };
  const body = Buffer.concat([integer(bytes.subarray(0, 32)), integer(bytes.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

const forgeries: Case[] = [
  ['alg none', 'wrong_algorithm', () => unsigned('none')],
  ['alg None', 'wrong_algorithm', () => unsigned('None')],
  ['alg nOnE', 'wrong_algorithm', () => unsigned('nOnE')],
  ['alg none with the old signature', 'wrong_algorithm', () => unsigned('none', parts()[2])],
  ['two parts', 'malformed_token', () => parts().slice(0, 2).join('.')],
  ['HS256 keyed with the PEM', 'wrong_algorithm', async () => mac(await exportSPKI(issuer.key.publicKey))],
  ['HS256 keyed with the JWK', 'wrong_algorithm', () => mac(JSON.stringify(issuer.key.jwk))],
  ['HS256 keyed with nothing', 'wrong_algorithm', () => mac('')],
  ['a stranger’s key in jwk', 'malformed_token', () => byAttacker({ jwk: attacker.jwk, kid: undefined })],
  ['a stranger’s key in jwk under the real kid', 'malformed_token', () => byAttacker({ jwk: attacker.jwk })],
  ['a stranger’s key by jku', 'malformed_token', () => byAttacker({ jku: `${trap.url}/jwks` })],
  ['a stranger’s key by x5u', 'malformed_token', () => byAttacker({ x5u: `${trap.url}/cert` })],
  ['a stranger’s key under the real kid', 'bad_signature', () => byAttacker({})],
  ['kid of 10 kB', 'malformed_token', () => byAttacker({ kid: 'k'.repeat(10_000) })],
  ['kid of 1 kB', 'unknown_key', () => byAttacker({ kid: 'k'.repeat(1_000) })],
  ['kid missing', 'unknown_key', () => byAttacker({ kid: undefined })],
  ['kid no text', 'unknown_key', () => byAttacker({ kid: { first: true } })],
  ['kid of a key for another algorithm', 'wrong_algorithm', () => byAttacker({ kid: 'rsa' })],
  ['crit that is not understood', 'malformed_token', () => genuine(claimsText(), { crit: ['x'], x: true })],
  ['b64 false', 'malformed_token', () => genuine(claimsText(), { crit: ['b64'], b64: false })],
  ['b64 false without crit', 'malformed_token', () => genuine(claimsText(), { b64: false })],
  ['a flipped bit', 'bad_signature', () => withSignature((bytes) => bytes.fill(bytes[40]! ^ 1, 40, 41))],
  ['spare bits of the signature', 'malformed_token', () => good.slice(0, -1) + nextCharacter(good.at(-1)!)],
  [
    'another tenant',
    'bad_signature',
    () => tampered({ ...readPart(parts()[1]), tenant_id: crypto.randomUUID() }),
  ],
  ['r and s zero', 'bad_signature', () => withSignature(() => Buffer.alloc(64))],
  ['a signature in DER', 'bad_signature', () => withSignature(toDer)],
  ['sub twice', 'malformed_token', () => genuine(`${claimsText().slice(0, -1)},"sub":"root"}`)],
  [
    'sub twice, once escaped',
    'malformed_token',
    () => genuine(`${claimsText().slice(0, -1)},"s\\u0075b":"root"}`),
  ],
  [
    'alg twice',
    'malformed_token',
    async () =>
      signJws(
        '{"alg":"none","typ":"at+jwt","kid":"first","alg":"ES256"}',
        claimsText(),
        issuer.key.privateKey,
      ),
  ],
  [
    'a name twice deep inside',
    'malformed_token',
    () => genuine(`${claimsText().slice(0, -1)},"act":[{"sub":"a","sub":"b"}]}`),
  ],
  ['exp as text', 'malformed_token', () => issuer.mint({ exp: String(issuer.at + 300) })],
  ['exp without end', 'malformed_token', () => genuine(claimsText().replace(/"exp":\d+/, '"exp":1e400'))],
  ['exp beyond all dates', 'malformed_token', () => issuer.mint({ exp: 1e15 })],
  ['nbf as text', 'malformed_token', () => issuer.mint({ nbf: '0' })],
  [
    'wrapped in a JWE',
    'malformed_token',
    () =>
      new CompactEncrypt(Buffer.from(good))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT' })
        .encrypt(createPublicKey({ key: issuer.key.jwk, format: 'jwk' })),
  ],
  ['zip', 'malformed_token', () => genuine(claimsText(), { zip: 'DEF' })],
  ['a list as payload', 'malformed_token', () => genuine('[]')],
  [
    'a payload that is not UTF-8',
    'malformed_token',
    () => [parts()[0], Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url'), parts()[2]].join('.'),
  ],
];

function nextCharacter(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(character) + 1]!;
}

const others: Case[] = [
  ['an ID token', 'wrong_type', () => issuer.mint({ nonce: 'n' }, { typ: undefined })],
  ['an ID token with a type', 'wrong_type', () => issuer.mint({}, { typ: 'JWT' })],
  ['a logout token', 'wrong_type', () => issuer.mint({}, { typ: 'logout+jwt' })],
  [
    'a client assertion',
    'wrong_type',
    () =>
      issuer.mint(
        { iss: 'client-1', sub: 'client-1', aud: issuer.url },
        { typ: 'JWT', kid: 'client-key' },
        attacker,
      ),
  ],
  ['an opaque access token', 'malformed_token', () => 'Q2hhbmdlTWVQbGVhc2VJQW1PcGFxdWVOb3RKV1Q0Mw'],
  ['a refresh token', 'malformed_token', () => 'ZmFrZS1yZWZyZXNoLXRva2VuLW9mLXRoZS1wcm92aWRlcg'],
  ['of another issuer', 'wrong_issuer', () => issuer.mint({ iss: 'https://evil.test' })],
  ['of the issuer with a slash', 'wrong_issuer', () => issuer.mint({ iss: `${issuer.url}/` })],
  ['for another audience', 'wrong_audience', () => issuer.mint({ aud: 'https://evil.test' })],
  ['for no audience', 'wrong_audience', () => issuer.mint({ aud: undefined })],
  [
    'for a list with something else in it',
    'wrong_audience',
    () => issuer.mint({ aud: [1, 'https://api.example.test'] }),
  ],
  ['expired', 'expired', () => issuer.mint({ exp: issuer.at - 15 })],
  ['not valid yet', 'not_yet_valid', () => issuer.mint({ nbf: issuer.at + 16 })],
  ['issued in the future', 'not_yet_valid', () => issuer.mint({ iat: issuer.at + 16 })],
  ['of a tenant that is no uuid', 'malformed_token', () => issuer.mint({ tenant_id: "' or true --" })],
  ['of a subject with a NUL', 'malformed_token', () => issuer.mint({ sub: 'a\0b' })],
  ['bound by a certificate', 'malformed_token', () => issuer.mint({ cnf: { 'x5t#S256': 'x' } })],
  [
    'bound to a key and more',
    'malformed_token',
    async () => issuer.mint({ cnf: { jkt: (await makeHolder()).jkt, 'x5t#S256': 'x' } }),
  ],
  ...(['tenant_id', 'sub', 'client_id', 'jti', 'iat', 'exp'] as const).map(
    (name): Case => [`without ${name}`, 'missing_claim', () => issuer.mint({ [name]: undefined })],
  ),
];

async function expectRefused(token: string, code: string) {
  const refused = await ask(api.url, `Bearer ${token}`);
  expect(refused.status).toBe(401);
  expect(refused.body).toEqual({ error: 'invalid_token', error_description: expect.any(String) });
  expect(refused.headers.get('cache-control')).toBe('no-store');
  expect(refused.headers.get('www-authenticate')).toContain('Bearer error="invalid_token"');
  // The answer does not say more than it must: the code is asked of a verifier of its own.
  const options = { issuer: issuer.url, audience, now: issuer.clock };
  await expect(createVerifier(options).verify(token)).rejects.toMatchObject({ code });
}

describe('a forged token is refused, and nothing is fetched [A-070, RFC 8725 3]', () => {
  test.each(forgeries)('%s', async (_, code, make) => {
    const token = await make();
    const before = await ask(api.url, `Bearer ${token}`);
    expect(before.status).toBe(401);
    expect(issuer.fetched).toEqual([]);
    await expectRefused(token, code);
    expect(trapped).toBe(0);
  });
});

describe('a token that is no good access token for this resource server is refused [A-071, A-073]', () => {
  test.each(others)('%s', async (_, code, make) => {
    await expectRefused(await make(), code);
  });
});

test('names of keys that do not exist lead to one fetch in 30 s, however many there are [A-070]', async () => {
  const names = ['../../dev/null', "' OR 1=1--", 'unknown', 'first\0', 'FIRST', '__proto__'];
  for (const kid of names) {
    const token = await byAttacker({ kid });
    expect((await ask(api.url, `Bearer ${token}`)).status).toBe(401);
  }
  expect(issuer.fetched).toEqual(['/jwks']);
});

test('typ may be written in any case and with application/ [RFC 9068 2.1]', async () => {
  for (const typ of ['AT+JWT', 'application/at+jwt', 'Application/AT+jwt']) {
    const token = await issuer.mint({}, { typ });
    expect((await ask(api.url, `Bearer ${token}`)).status).toBe(200);
  }
});
