import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createVerifier, type VerifiedToken, type VerifierOptions } from '../../src/index.ts';
import { makeTokenCache } from '../../src/verify/token-cache.ts';
import { audience, type Issuer, makeKey, startIssuer, tenantId } from '../support/issuer.ts';

let issuer: Issuer;
const make = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ issuer: issuer.url, audience, now: issuer.clock, ...options });

beforeEach(async () => {
  issuer = await startIssuer();
});
afterEach(() => issuer.stop());

test('a token that is shown again gives the same result, and is refused once it has expired', async () => {
  const verifier = make();
  const token = await issuer.mint();
  const first = await verifier.verify(token);
  expect(await verifier.verify(token)).toBe(first);
  expect(first).toMatchObject({ tenantId, subject: 'user-1', clientId: 'client-1' });
  issuer.at += 314;
  expect(await verifier.verify(token)).toBe(first);
  issuer.at += 1;
  await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'expired' });
});

test('a token is refused before its time even if the clock was set back after it was accepted', async () => {
  const verifier = make({ tolerance: 0 });
  const token = await issuer.mint({ nbf: issuer.at, exp: issuer.at + 3600 });
  await verifier.verify(token);
  issuer.at -= 1;
  await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'not_yet_valid' });
});

test('a token is forgotten with its key, be the key withdrawn or replaced under its name', async () => {
  const verifier = make();
  const token = await issuer.mint({ exp: issuer.at + 7200 });
  await verifier.verify(token);
  const other = await makeKey('first');
  for (const jwks of [[], [other.jwk]]) {
    issuer.jwks = jwks;
    issuer.at += 601;
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 401 });
  }
  issuer.jwks = [issuer.key.jwk];
  issuer.at += 601;
  expect(await verifier.verify(token)).toMatchObject({ tenantId });
});

test('scopes and revocation are asked for each time [A-075]', async () => {
  let revoked: boolean | undefined = false;
  const asked: VerifiedToken[] = [];
  const isRevoked = (token: VerifiedToken) => {
    asked.push(token);
    return revoked as boolean;
  };
  const verifier = make({ isRevoked });
  const token = await issuer.mint({ scope: 'read' });
  await verifier.verify(token, undefined, { scope: 'read' });
  await verifier.verify(token, undefined, { scope: [] });
  for (const scope of ['write', 'read write', ['read', 'write'], 'rea', 'READ']) {
    const refused = verifier.verify(token, undefined, { scope });
    await expect(refused).rejects.toMatchObject({ code: 'insufficient_scope', status: 403 });
  }
  expect(asked).toHaveLength(7);
  for (const answer of [true, undefined]) {
    revoked = answer;
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'revoked', status: 401 });
  }
  const failing = make({ isRevoked: () => Promise.reject(new Error('no list')) });
  await expect(failing.verify(token)).rejects.toThrow('no list');
});

test('what was verified cannot be changed for the requests after this one', async () => {
  const token = await make().verify(await issuer.mint({ act: { sub: 'other' } }));
  expect(() => Object.assign(token, { tenantId: 'x' })).toThrow(TypeError);
  expect(() => Object.assign(token.claims, { tenant_id: 'x' })).toThrow(TypeError);
  expect(() => Object.assign(token.claims['act'] as object, { sub: 'x' })).toThrow(TypeError);
  expect(() => (token.scopes as Set<string>).add('admin')).toThrow(TypeError);
  expect([...token.scopes]).toEqual(['read', 'write']);
});

test('a verifier without a cache verifies each time', async () => {
  const verifier = make({ cacheSize: 0 });
  const token = await issuer.mint();
  expect(await verifier.verify(token)).not.toBe(await verifier.verify(token));
});

test('the cache is bounded in number and in length, and keeps what is used', () => {
  const cache = makeTokenCache(100);
  const entry = {} as Parameters<typeof cache.set>[1];
  const held = (names: string[]) => names.filter((name) => cache.get(name)).length;
  const names = Array.from({ length: 1000 }, (_, index) => `token-${index}`);
  cache.set('used', entry);
  for (const name of names) {
    cache.set(name, entry);
    expect(cache.get('used')).toBe(entry);
  }
  expect(held(names)).toBeLessThanOrEqual(100);
  const long = Array.from({ length: 100 }, (_, index) => String(index).padStart(8_000, 'x'));
  for (const name of long) cache.set(name, entry);
  expect(held(long) * 8_000).toBeLessThanOrEqual(100 * 1024);
  cache.set('x'.repeat(100_000), entry);
  expect(cache.get('x'.repeat(100_000))).toBeUndefined();
});
