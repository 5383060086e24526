import { expect, test } from '@jest/globals';
import { createVerifier, type VerifiedToken } from '../../src/index.ts';
import { assertVerified } from '../../src/verify/verified-token.ts';
import { audience, startIssuer } from '../support/issuer.ts';

/** Stands for everything that works on behalf of a token. */
const use = (token: VerifiedToken): VerifiedToken => {
  assertVerified(token);
  return token;
};

test('only what a verifier gave is a verified token, for the compiler and at run time', async () => {
  const issuer = await startIssuer();
  const verifier = createVerifier({ issuer: issuer.url, audience, now: issuer.clock });
  const text = await issuer.mint();
  const token = await verifier.verify(text);
  await issuer.stop();
  expect(use(token)).toBe(token);

  const { tenantId, subject, clientId, scopes, claims, expiresAt } = token;
  // @ts-expect-error A token that was not verified is a text.
  expect(() => use(text)).toThrow(TypeError);
  // @ts-expect-error Claims, decoded by whoever.
  expect(() => use(claims)).toThrow(TypeError);
  // @ts-expect-error The promise of a token.
  expect(() => use(verifier.verify(text).catch(() => undefined))).toThrow(TypeError);
  // @ts-expect-error The same members put together by hand.
  expect(() => use({ tenantId, subject, clientId, scopes, claims, expiresAt })).toThrow(TypeError);
  // @ts-expect-error Nothing, as on a route without a guard.
  expect(() => use(undefined)).toThrow(TypeError);
  // @ts-expect-error A copy.
  expect(() => use({ ...token })).toThrow(TypeError);
  // @ts-expect-error A copy for another tenant.
  expect(() => use({ ...token, tenantId: 'other' })).toThrow(TypeError);

  // These have the type of what they are made of, so they are found at run time alone.
  expect(() => use(Object.create(token))).toThrow(TypeError);
  expect(() => use(new Proxy(token, {}))).toThrow(TypeError);
});
