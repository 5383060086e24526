import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { type ClientInput, putClient } from '#src/domain/clients/clients.ts';
import { call } from '#test/support/call.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, resource } from '#test/support/fixture.ts';
import { completeFlow } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';

const es256 = await generateKeyPair('ES256', { extractable: true });
const rs256 = await generateKeyPair('RS256');
const stranger = await generateKeyPair('ES256', { extractable: true });

let fixture: Fixture;
let node: Node;
let issuer: string;
let listener: Server;
let fetched = 0;

beforeAll(async () => {
  fixture = await createFixture();
  const keys = [
    { ...(await exportJWK(es256.publicKey)), kid: 'es', alg: 'ES256', use: 'sig' },
    { ...(await exportJWK(rs256.publicKey)), kid: 'rs', alg: 'RS256', use: 'sig' },
  ];
  const robot: ClientInput = {
    client_id: 'acme-robot',
    client_name: 'Robot',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    redirect_uris: [],
    jwks: JSON.stringify({ keys }),
    resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
  };
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await putClient(tx, robot);
    await putClient(tx, { ...robot, client_id: 'acme-robot-2' });
  });
  node = await startNode(fixture);
  issuer = node.url;
  listener = createServer((_, res) => {
    fetched += 1;
    res.end(JSON.stringify({ keys: [] }));
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
});
afterAll(async () => {
  listener?.close();
  await node?.stop();
  await fixture?.drop();
});

const now = () => Math.floor(Date.now() / 1000);
const listenerUrl = () => `http://127.0.0.1:${(listener.address() as AddressInfo).port}/jwks`;

type Claims = Omit<JWTPayload, 'exp' | 'iat' | 'nbf'> & { exp?: unknown; iat?: unknown; nbf?: unknown };
const goodClaims = (): Claims => ({
  iss: 'acme-robot',
  sub: 'acme-robot',
  aud: issuer,
  jti: crypto.randomUUID(),
  iat: now(),
  exp: now() + 60,
});

/** A good assertion but for these claims and header; undefined leaves one out. */
async function assert(
  claims: Claims = {},
  header: Record<string, unknown> = {},
  key: CryptoKey | Uint8Array = es256.privateKey,
): Promise<string> {
  const kept = Object.entries({ ...goodClaims(), ...claims }).filter(([, value]) => value !== undefined);
  return new SignJWT(Object.fromEntries(kept) as JWTPayload)
    .setProtectedHeader({ alg: 'ES256', kid: 'es', ...header })
    .sign(key);
}

const present = (client_assertion: string, path = '/token', form: Record<string, string> = {}) =>
  call(issuer + path, {
    form: {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
      ...form,
    },
  });

async function expectRefused(client_assertion: string, form: Record<string, string> = {}) {
  const answer = await expectUnchanged(fixture, () => present(client_assertion, '/token', form));
  expectRefusal(answer, { status: [400, 401], error: ['invalid_client', 'invalid_request'] });
  expect(fetched).toBe(0);
}

async function expectAccepted(client_assertion: string) {
  const answer = await present(client_assertion);
  expectSafe(answer);
  expect({ status: answer.status, body: answer.body }).toMatchObject({ status: 200 });
}

describe('the claims of an assertion [A-050, RFC 7523 3, RFC 10070]', () => {
  test.each([
    ['as they should be', () => ({})],
    ['with nbf 8 s ahead', () => ({ nbf: now() + 8 })],
    ['with iat 8 s ahead', () => ({ iat: now() + 8, exp: now() + 68 })],
    ['without iat', () => ({ iat: undefined })],
    ['with exp five minutes ahead', () => ({ exp: now() + 300 })],
  ] as [string, () => Claims][])('%s are accepted', async (_, claims) => {
    await expectAccepted(await assert(claims()));
  });

  test.each([
    ['without exp', () => ({ exp: undefined })],
    ['with exp five minutes past', () => ({ exp: now() - 300, iat: now() - 360 })],
    ['with exp 20 s past', () => ({ exp: now() - 20, iat: now() - 60 })],
    ['with exp ten minutes ahead', () => ({ exp: now() + 600 })],
    ['with exp ten minutes ahead and no iat', () => ({ exp: now() + 600, iat: undefined })],
    ['with iat and exp a day ahead', () => ({ iat: now() + 86_400, exp: now() + 86_460 })],
    ['with iat as text and exp a day ahead', () => ({ iat: String(now() + 86_400), exp: now() + 86_460 })],
    ['with exp as text', () => ({ exp: String(now() + 60) })],
    ['with exp without end', () => ({ exp: 1e300 })],
    ['with nbf 61 s ahead', () => ({ nbf: now() + 61 })],
    ['with nbf as text', () => ({ nbf: '0' })],
    ['without jti', () => ({ jti: undefined })],
    ['with an empty jti', () => ({ jti: '' })],
    ['with a jti that is no text', () => ({ jti: 1 as unknown as string })],
    ['without sub', () => ({ sub: undefined })],
    ['without iss', () => ({ iss: undefined })],
    ['with another client as sub', () => ({ sub: 'acme-robot-2' })],
    ['with another client as iss', () => ({ iss: 'acme-robot-2' })],
    ['of another tenant’s client', () => ({ iss: 'globex-pk', sub: 'globex-pk' })],
    ['with a user as iss and sub', () => ({ iss: fixture.acme.users.alice, sub: fixture.acme.users.alice })],
    ['without aud', () => ({ aud: undefined })],
    ['with the issuer in an array as aud', () => ({ aud: [issuer] })],
    ['with the issuer and another as aud', () => ({ aud: [issuer, 'https://evil.test'] })],
    ['with the token endpoint as aud', () => ({ aud: `${issuer}/token` })],
    ['with the pushed request endpoint as aud', () => ({ aud: `${issuer}/par` })],
    ['with the issuer and a slash as aud', () => ({ aud: `${issuer}/` })],
    ['with another issuer as aud', () => ({ aud: 'https://evil.test' })],
  ] as [string, () => Claims][])('%s are refused', async (_, claims) => {
    await expectRefused(await assert(claims()));
  });

  test('with another client_id beside it are refused', async () => {
    await expectRefused(await assert(), { client_id: 'acme-robot-2' });
  });

  test('are good once, at any endpoint [RFC 7523 3, item 7]', async () => {
    const assertion = await assert();
    await expectAccepted(assertion);
    await expectRefused(assertion);
    for (const path of ['/par', '/introspect', '/revoke']) {
      const answer = await present(assertion, path, { token: 'x' });
      expectRefusal(answer, { status: 401, error: 'invalid_client' });
    }
  });

  test('with the jti of another client’s assertion are accepted', async () => {
    const jti = crypto.randomUUID();
    await expectAccepted(await assert({ jti }));
    await expectAccepted(await assert({ jti, iss: 'acme-robot-2', sub: 'acme-robot-2' }));
  });
});

describe('the signature of an assertion [A-050, RFC 8725 3.1 and 3.10]', () => {
  test('without one is refused, however none is spelt', async () => {
    const good = await assert();
    const [, payload, signature] = good.split('.');
    await expectRefused(new UnsecuredJWT(goodClaims() as JWTPayload).encode());
    for (const alg of ['none', 'None', 'nOnE', 'NONE', '', 'ES256 ']) {
      const header = Buffer.from(JSON.stringify({ alg, kid: 'es' })).toString('base64url');
      for (const text of [
        `${header}.${payload}.`,
        `${header}.${payload}.${signature}`,
        `${header}.${payload}`,
      ]) {
        await expectRefused(text);
      }
    }
  });

  test('by RS256 is refused, even with a registered key', async () => {
    await expectRefused(await assert({}, { alg: 'RS256', kid: 'rs' }, rs256.privateKey));
  });

  test.each([
    ['the client id', () => 'acme-robot'],
    ['the public key', async () => JSON.stringify(await exportJWK(es256.publicKey))],
    ['the public x coordinate', async () => (await exportJWK(es256.publicKey)).x!],
    ['the kid', () => 'es'],
  ])('by HS256 with %s as key is refused', async (_, key) => {
    await expectRefused(await assert({}, { alg: 'HS256' }, new TextEncoder().encode(await key())));
  });

  test.each([
    ['an unknown kid', () => ({ kid: 'unknown' })],
    ['no kid', () => ({ kid: undefined })],
    ['the kid of the good key', () => ({ kid: 'es' })],
    ['a kid that is a path', () => ({ kid: '../../dev/null' })],
    ['a kid that is SQL', () => ({ kid: "' or 1=1--" })],
    ['its own key in jwk', async () => ({ jwk: await exportJWK(stranger.publicKey) })],
    ['its own key by jku', () => ({ jku: listenerUrl() })],
    ['its own key by x5u', () => ({ x5u: listenerUrl() })],
  ] as [string, () => Record<string, unknown> | Promise<Record<string, unknown>>][])(
    'by a stranger’s key with %s is refused, and nothing is fetched',
    async (_, header) => {
      await expectRefused(await assert({}, await header(), stranger.privateKey));
    },
  );

  test('by the right key with an unknown kid is refused', async () => {
    await expectRefused(await assert({}, { kid: 'unknown' }));
  });

  test('over other claims is refused', async () => {
    const [header, , signature] = (await assert()).split('.');
    const other = Buffer.from(JSON.stringify({ ...goodClaims(), iss: 'acme-robot-2', sub: 'acme-robot-2' }));
    await expectRefused([header, other.toString('base64url'), signature].join('.'));
  });

  test('with an extension that must be understood and is not is refused', async () => {
    const token = await assert();
    const [, payload, signature] = token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'es', crit: ['evil'], evil: true }));
    await expectRefused([header.toString('base64url'), payload, signature].join('.'));
  });

  test.each([
    ['no JWT at all', 'x'],
    ['two dots', '..'],
    ['an empty object', 'e30.e30.e30'],
    ['a header that is a list', 'W10.e30.e30'],
    ['a payload that is null', 'eyJhbGciOiJFUzI1NiJ9.bnVsbA.e30'],
    ['a hundred dots', '.'.repeat(100)],
    ['50 kB', `e30.${'A'.repeat(50_000)}.e30`],
  ])('over %s is refused', async (_, assertion) => {
    await expectRefused(assertion);
  });
});

describe('the type of an assertion [A-051, RFC 8725 3.11]', () => {
  test.each([undefined, 'JWT', 'client-authentication+jwt'])('%s is accepted', async (typ) => {
    await expectAccepted(await assert({}, { typ }));
  });

  test.each(['at+jwt', 'dpop+jwt', 'logout+jwt', 'oauth-authz-req+jwt', 'secevent+jwt', ''])(
    '%j is refused',
    async (typ) => {
      await expectRefused(await assert({}, { typ }));
    },
  );
});

describe('another token in the place of an assertion [A-052, RFC 8725 3.12]', () => {
  test('the client’s own ID and access token are refused', async () => {
    const { tokens } = await completeFlow(issuer, 'acme-web');
    for (const token of [tokens.id_token!, tokens.access_token, tokens.refresh_token!]) {
      await expectRefused(token);
      await expectRefused(token, { client_id: 'acme-web' });
    }
  });

  test('a request object is refused', async () => {
    const parameters = { client_id: 'acme-robot', response_type: 'code', scope: 'openid' } as Claims;
    await expectRefused(await assert({ ...parameters, sub: undefined }));
    await expectRefused(await assert(parameters, { typ: 'oauth-authz-req+jwt' }));
  });

  test('a logout token is refused', async () => {
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    await expectRefused(await assert({ iss: issuer, aud: 'acme-robot', events } as Claims));
    await expectRefused(await assert({ events } as Claims, { typ: 'logout+jwt' }));
  });

  test('the type of assertion must be said, and be the one', async () => {
    for (const client_assertion_type of [
      '',
      'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
      'jwt',
    ]) {
      await expectRefused(await assert(), { client_assertion_type });
    }
  });
});
