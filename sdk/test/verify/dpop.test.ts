import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK } from 'jose';
import { createVerifier, type Verifier, type VerifierOptions } from '../../src/index.ts';
import { makeReplayMemory } from '../../src/verify/replay.ts';
import { audience, encodePart, type Issuer, type Json, startIssuer } from '../support/issuer.ts';
import { type Holder, hashOf, makeHolder, prove } from '../support/proof.ts';

const url = 'https://api.example.test/orders/%7eme/a%2fb';
const method = 'GET';
const [holder, stranger, rsa] = await Promise.all([makeHolder(), makeHolder(), makeHolder('RS256')]);
let issuer: Issuer;
let verifier: Verifier;
let token: string;

const make = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ issuer: issuer.url, audience, now: issuer.clock, ...options });

beforeAll(async () => {
  issuer = await startIssuer();
  verifier = make();
  token = await issuer.mint({ cnf: { jkt: holder.jkt }, exp: issuer.at + 3600 });
});
afterAll(() => issuer?.stop());

const place = () => ({ method, url, token, at: issuer.at });
const proof = (claims?: Json, header?: Json, by: Holder = holder) => prove(by, place(), claims, header);
const show = (text: string, by = verifier) =>
  by.verify(token, { method, url, proof: text, scheme: 'dpop' }).then(
    () => 'accepted',
    (error) => error.code ?? error.message,
  );
/** The proof with another header on the same payload and signature. */
const under = async (header: Json) => {
  const [, ...rest] = (await proof()).split('.');
  return [encodePart(header), ...rest].join('.');
};

describe('a proof is accepted with [RFC 9449 4.3]', () => {
  test.each<[name: string, make: () => Promise<string>]>([
    ['all as it should be', () => proof()],
    ['a query and a fragment in htu', () => proof({ htu: `${url}?a=b#c` })],
    ['htu in another spelling', () => proof({ htu: 'HTTPS://API.example.test:443/x/../orders/~me/a%2Fb' })],
    ['iat 75 s past', () => proof({ iat: issuer.at - 75 })],
    ['iat 15 s ahead', () => proof({ iat: issuer.at + 15 })],
    ['a nonce that nobody asked for', () => proof({ nonce: 'x' })],
    ['a key that also has a name', () => proof({}, { jwk: { ...holder.bare, kid: 'mine', use: 'sig' } })],
  ])('%s', async (_, make) => {
    expect(await show(await make())).toBe('accepted');
  });

  test.each(['PS256', 'EdDSA'])('a key for %s', async (alg) => {
    const other = await makeHolder(alg);
    const bound = await issuer.mint({ cnf: { jkt: other.jkt } });
    const text = await prove(other, { ...place(), token: bound });
    await expect(verifier.verify(bound, { method, url, proof: text })).resolves.toBeDefined();
  });
});

describe('a proof is refused with [RFC 9449 4.3]', () => {
  test.each<[name: string, make: () => Promise<string>, code?: string]>([
    ['no JWT', async () => 'proof'],
    ['nothing', async () => ''],
    ['two proofs', async () => `${await proof()}, ${await proof()}`],
    ['9 kB', () => proof({ x: 'x'.repeat(9_000) })],
    ['typ missing', () => proof({}, { typ: undefined })],
    ['typ JWT', () => proof({}, { typ: 'JWT' })],
    ['typ at+jwt', () => proof({}, { typ: 'at+jwt' })],
    ['the access token itself', async () => token],
    ['alg none', () => under({ typ: 'dpop+jwt', alg: 'none', jwk: holder.bare })],
    ['alg HS256', () => under({ typ: 'dpop+jwt', alg: 'HS256', jwk: { kty: 'oct', k: 'AA' } })],
    ['alg that is not accepted', () => proof({}, {}, rsa)],
    ['alg of another key', () => under({ typ: 'dpop+jwt', alg: 'PS256', jwk: holder.bare })],
    ['jwk missing', () => proof({}, { jwk: undefined })],
    ['jwk private', async () => proof({}, { jwk: await exportJWK(holder.privateKey) })],
    ['jwk of another key', () => proof({}, { jwk: stranger.bare })],
    ['jwk off its curve', () => proof({}, { jwk: { ...holder.bare, y: holder.bare.x } })],
    ['crit', () => under({ typ: 'dpop+jwt', alg: 'ES256', jwk: holder.bare, crit: ['x'], x: 1 })],
    ['jku', () => proof({}, { jku: 'https://evil.test' })],
    ['a broken signature', async () => (await proof()).replace(/.{8}$/, 'AAAAAAAA')],
    ['jti missing', () => proof({ jti: undefined })],
    ['jti empty', () => proof({ jti: '' })],
    ['jti a number', () => proof({ jti: 1 })],
    ['jti without end', () => proof({ jti: 'x'.repeat(257) })],
    ['htm missing', () => proof({ htm: undefined })],
    ['htm of another method', () => proof({ htm: 'PUT' })],
    ['htm in lower case', () => proof({ htm: 'get' })],
    ['htu missing', () => proof({ htu: undefined })],
    ['htu of another path', () => proof({ htu: 'https://api.example.test/orders' })],
    ['htu of another case', () => proof({ htu: url.replace('orders', 'Orders') })],
    ['htu of a slash for an escaped one', () => proof({ htu: url.replace('%2f', '/') })],
    ['htu of another host', () => proof({ htu: url.replace('api', 'evil') })],
    ['htu of another port', () => proof({ htu: url.replace('.test', '.test:1') })],
    ['htu of another scheme', () => proof({ htu: url.replace('https', 'http') })],
    ['htu with a name before the host', () => proof({ htu: url.replace('//', '//a@') })],
    ['htu a path only', () => proof({ htu: '/orders' })],
    ['iat missing', () => proof({ iat: undefined })],
    ['iat as text', () => proof({ iat: String(issuer.at) })],
    ['iat 76 s past', () => proof({ iat: issuer.at - 76 })],
    ['iat 16 s ahead', () => proof({ iat: issuer.at + 16 })],
    ['ath missing', () => proof({ ath: undefined })],
    ['ath of another token', () => proof({ ath: hashOf('other') })],
    ['ath the token itself', () => proof({ ath: token })],
    ['a key that the token is not bound to', () => proof({}, {}, stranger), 'not_bound'],
  ])('%s', async (_, make, code = 'proof_invalid') => {
    expect(await show(await make())).toBe(code);
  });
});

describe('a bound token needs its proof [RFC 9449 7.2]', () => {
  test.each([
    ['no request', undefined],
    ['no proof', { method, url }],
    ['no proof under DPoP', { method, url, scheme: 'dpop' as const }],
    ['a proof under Bearer', { method, url, scheme: 'bearer' as const, proof: 'x' }],
  ])('%s', async (_, request) => {
    await expect(verifier.verify(token, request)).rejects.toMatchObject({
      code: 'proof_required',
      status: 401,
    });
  });

  test('and a free token comes without', async () => {
    const free = await issuer.mint();
    const refused = verifier.verify(free, { method, url, proof: await proof(), scheme: 'dpop' });
    await expect(refused).rejects.toMatchObject({ code: 'not_bound', error: 'invalid_token' });
    await expect(verifier.verify(free, { method, url, scheme: 'bearer' })).resolves.toBeDefined();
  });
});

describe('a proof is good once [RFC 9449 11.1]', () => {
  test('of many at once exactly one wins, cached token or not', async () => {
    const text = await proof();
    const answers = await Promise.all(Array.from({ length: 50 }, () => show(text)));
    expect(answers.filter((answer) => answer === 'accepted')).toHaveLength(1);
    expect(answers.filter((answer) => answer === 'proof_replayed')).toHaveLength(49);
  });

  test('for as long as its time is good', async () => {
    const text = await proof({ iat: issuer.at + 15 });
    const start = issuer.at;
    expect(await show(text)).toBe('accepted');
    for (const later of [30, 60, 89, 90]) {
      issuer.at = start + later;
      expect(await show(text)).toBe('proof_replayed');
    }
    issuer.at = start + 91;
    expect(await show(text)).toBe('proof_invalid');
    issuer.at = start;
  });

  test('also when the same jti comes with other claims, and not when another key has used it', async () => {
    expect(await show(await proof({ jti: 'same' }))).toBe('accepted');
    expect(await show(await proof({ jti: 'same', x: 1 }))).toBe('proof_replayed');
    const bound = await issuer.mint({ cnf: { jkt: stranger.jkt } });
    const text = await prove(stranger, { ...place(), token: bound }, { jti: 'same' });
    await expect(verifier.verify(bound, { method, url, proof: text })).resolves.toBeDefined();
  });

  test('over all processes that share a memory of them, and not when that fails', async () => {
    const shared = new Map<string, Date>();
    const replay = async (key: string, expiresAt: Date) => {
      if (shared.has(key)) return false;
      shared.set(key, expiresAt);
      return true;
    };
    const nodes = [make({ replay }), make({ replay }), make({ replay })];
    const text = await proof();
    const answers = await Promise.all(nodes.map((node) => show(text, node)));
    expect(answers.sort()).toEqual(['accepted', 'proof_replayed', 'proof_replayed']);
    const [[key, expiresAt]] = [...shared] as [[string, Date]];
    expect(key).toMatch(/^[\w-]{43}$/);
    expect(expiresAt.getTime() / 1000).toBe(issuer.at + 90);
    const failing = make({ replay: () => Promise.reject(new Error('no memory')) });
    expect(await show(await proof(), failing)).toBe('no memory');
  });

  test('and what does not fit into the memory is not accepted', () => {
    const remember = makeReplayMemory(90, 100);
    for (let index = 0; index < 100; index++) remember(String(index), 0);
    expect(remember('0', 0)).toBe('again');
    expect(remember('one more', 89)).toBe('full');
    expect(remember('0', 179)).toBe('again');
    expect(remember('one more', 270)).toBe('first');
    for (let index = 0; index < 100; index++) remember(`later ${index}`, 271);
    expect(remember('after the clock was set back', 100)).toBe('full');
    expect(remember('after the clock was set back', 280)).toBe('first');
  });
});
