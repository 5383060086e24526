import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { type Answer, expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover } from '#test/support/flow.ts';
import { readJwt } from '#test/support/forge.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let url: string;
let token: string;
let idToken: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
  url = `${issuer}/userinfo`;
  const parameters = { resource: undefined, scope: 'openid email' };
  const { tokens } = await completeFlow(issuer, 'acme-web', { parameters });
  token = tokens.access_token;
  idToken = tokens.id_token!;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

describe('userinfo [A-076, OpenID Connect Core 5.3]', () => {
  test('answers to GET, and to POST with the token in the header or in the form, with the sub of the ID token', async () => {
    const answers = [
      await call(url, { headers: bearer(token) }),
      await call(url, { headers: bearer(token), method: 'POST' }),
      await call(url, { form: { access_token: token } }),
    ];
    for (const answer of answers) {
      expectSafe(answer);
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toEqual({
        sub: readJwt(idToken).payload['sub'],
        tenant_id: fixture.acme.tenant_id,
        email: 'alice@example.test',
        email_verified: true,
      });
    }
  });

  test.each([
    ['in the query', () => call(`${url}?access_token=${token}`)],
    ['in the query and the header', () => call(`${url}?access_token=${token}`, { headers: bearer('x') })],
    [
      'in the header and the form',
      () => call(url, { headers: bearer(token), form: { access_token: token } }),
    ],
    [
      'twice in the form',
      () =>
        call(url, {
          form: [
            ['access_token', token],
            ['access_token', token],
          ],
        }),
    ],
    ['under another scheme', () => call(url, { headers: { authorization: `Basic ${token}` } })],
    ['without a scheme', () => call(url, { headers: { authorization: token } })],
    ['with more behind it', () => call(url, { headers: { authorization: `Bearer ${token} x` } })],
    ['as a list', () => call(url, { headers: { authorization: `Bearer ${token}, Bearer ${token}` } })],
    ['nowhere', () => call(url)],
    ['empty', () => call(url, { headers: { authorization: 'Bearer ' } })],
    [
      'in JSON',
      () =>
        call(url, {
          method: 'POST',
          body: JSON.stringify({ access_token: token }),
          headers: { 'content-type': 'application/json' },
        }),
    ],
    ['in a cookie', () => call(url, { headers: { cookie: `access_token=${token}` } })],
  ] as [string, () => Promise<Answer>][])('refuses a token %s', async (_, ask) => {
    const answer = await expectUnchanged(fixture, ask);
    expectRefusal(answer, { status: [400, 401], error: ['invalid_request', 'invalid_token'] });
    if (answer.status === 401) {
      expect(answer.headers.get('www-authenticate')).toMatch(/^(Bearer|DPoP) /);
    }
    expect(answer.body).not.toContain('alice');
  });

  test('refuses a token for a resource server, one without openid, and a machine’s', async () => {
    const forApi = (await completeFlow(issuer, 'acme-web')).tokens.access_token;
    const machine = await call(`${issuer}/token`, {
      headers: basic('acme-m2m'),
      form: { grant_type: 'client_credentials' },
    });
    for (const other of [forApi, JSON.parse(machine.body).access_token]) {
      expectRefusal(await call(url, { headers: bearer(other) }), { status: 401, error: 'invalid_token' });
    }
  });

  test('gives no more than the scope of the token, whatever scope is asked for', async () => {
    const answer = await call(`${url}?scope=profile`, { headers: bearer(token) });
    expectSafe(answer);
    expect([401, 403]).toContain(answer.status);
    expect(JSON.parse(answer.body)).toMatchObject({ error: 'insufficient_scope' });
  });
});

describe('what may be kept by a cache [A-077]', () => {
  test('nothing of a person, of a token or of a page', async () => {
    const agent = makeUserAgent();
    const { url: start } = await authorize(await discover(issuer, 'acme-web'));
    const login = await agent.follow(await agent.get(start.href));
    const answers = [
      await call(url, { headers: bearer(token) }),
      await call(url),
      await call(`${issuer}/token`, {
        headers: basic('acme-m2m'),
        form: { grant_type: 'client_credentials' },
      }),
      await call(`${issuer}/token`, { form: {} }),
      await call(`${issuer}/introspect`, { headers: basic('acme-web'), form: { token } }),
      await call(`${issuer}/revoke`, { headers: basic('acme-web'), form: { token: 'x' } }),
      await agent.get(start.href),
      login,
      await agent.get(`${issuer}/workspace`),
      await agent.get(`${issuer}/logout`),
      await agent.get(`${issuer}/nothing`),
    ];
    for (const answer of answers) {
      expectSafe(answer);
      expect(answer.headers.get('cache-control')).toContain('no-store');
    }
  });

  test('the public documents, for as long as a new key is published before it signs', async () => {
    for (const path of [
      '/jwks',
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
    ]) {
      const answer = await call(issuer + path);
      expectSafe(answer);
      expect(answer.headers.get('cache-control')).toBe('public, max-age=600');
      expect(answer.headers.get('set-cookie')).toBeNull();
      // The very first answer after a start is made by the library, and has no tag yet.
      const { headers } = await call(issuer + path);
      const again = await call(issuer + path, { headers: { 'if-none-match': headers.get('etag')! } });
      expectSafe(again);
      expect(again.status).toBe(304);
    }
  });
});
