import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { basic, call } from '#test/support/call.ts';
import { expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, secretOf } from '#test/support/fixture.ts';
import { authorize, browse, discover, signIn } from '#test/support/flow.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await putClient(tx, {
      client_id: 'acme-office',
      client_name: 'Office',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [],
      allowed_ips: ['203.0.113.0/24'],
    });
    await addClientSecret(tx, 'acme-office', { secret: secretOf('acme-office') });
  });
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

/** Other ways to write a path that a lenient router takes for the same. */
const respell = (path: string) =>
  [
    `${path}/`,
    `${path}//`,
    `/${path}`,
    `/.${path}`,
    `/x/..${path}`,
    path.toUpperCase(),
    path.replace(/[a-z](?=[^a-z]*$)/, (letter) => letter.toUpperCase()),
    path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    `${path};x=1`,
    `${path}%00`,
    `${path}%2f`,
    `${path}.json`,
    path.replace('k', '%e2%84%aa'),
  ].filter((other) => other !== path);

const endpoints = [
  '/auth',
  '/token',
  '/par',
  '/jwks',
  '/userinfo',
  '/introspect',
  '/revoke',
  '/logout',
  '/logout/confirm',
];

test.each(endpoints)('%s answers to its own spelling only [M-1, decision 3]', async (path) => {
  const host = new URL(issuer).host;
  for (const spelling of respell(path)) {
    for (const method of ['GET', 'POST', 'HEAD', 'OPTIONS']) {
      const answer = await sendRaw(issuer, {
        lines: [
          `${method} ${spelling} HTTP/1.1`,
          `Host: ${host}`,
          'Access-Control-Request-Method: POST',
          'Origin: https://evil.test',
        ],
      });
      // NUL is no text, and refused before any route is looked for.
      const status = spelling.endsWith('%00') ? 400 : 404;
      expect({ method, spelling, status: answer.status }).toEqual({ method, spelling, status });
      expectSafe(answer);
    }
  }
});

test('no spelling of the token endpoint lets a client in from an address that is not allowed [C-50]', async () => {
  for (const path of ['/token', ...respell('/token')]) {
    const answer = await sendRaw(issuer, {
      lines: [
        `POST ${path} HTTP/1.1`,
        `Host: ${new URL(issuer).host}`,
        'Content-Type: application/x-www-form-urlencoded',
        `Authorization: ${basic('acme-office')['authorization']}`,
      ],
      body: 'grant_type=client_credentials',
    });
    expectSafe(answer);
    expect([400, 401, 404]).toContain(answer.status);
    expect(answer.body).not.toContain('access_token');
  }
});

test('no spelling or method of the authorization endpoint starts a sign-in outside of its tenant [decision 3]', async () => {
  const { url } = await authorize(await discover(issuer, 'shared-web'), { tenant: 'acme' });
  for (const path of respell('/auth')) {
    const lines = rawGet(path + url.search, new URL(issuer).host, { Accept: 'text/html' });
    const answer = await expectUnchanged(fixture, () => sendRaw(issuer, { lines }));
    expectSafe(answer);
    expect(answer.headers.get('location')).toBeNull();
  }
  const answer = await expectUnchanged(fixture, () => call(url.href, { method: 'HEAD' }));
  expectSafe(answer);
  expect(answer.status).toBe(405);
  expect(answer.headers.get('location')).toBeNull();
});

test('no spelling or method of the way back gives a second code [A-037]', async () => {
  const { url } = await authorize(await discover(issuer, 'acme-web'));
  const agent = makeUserAgent();
  const login = await agent.follow(await agent.get(url.href));
  const uid = login.url.slice(login.url.lastIndexOf('/') + 1);
  const resume = `${issuer}/auth/${uid}`;
  const cookie = await agent.jar.getCookieString(resume);
  const spellings = [`/auth/${uid}/`, `/AUTH/${uid}`, `/Auth/${uid}/`];
  for (const path of spellings) {
    const answer = await call(issuer + path, { headers: { cookie, accept: 'text/html' } });
    expectSafe(answer);
    expect(answer.status).toBe(404);
  }
  const head = await call(resume, { method: 'HEAD', headers: { cookie } });
  expect(head.status).toBe(405);
  const back = await signIn(agent, login);
  expect(back.location).toContain('code=');
});

test('the documents answer to HEAD as to GET, without a body [RFC 9110 9.3.2]', async () => {
  for (const path of [
    '/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server',
    '/jwks',
    '/',
  ]) {
    const [get, head] = [await call(issuer + path), await call(issuer + path, { method: 'HEAD' })];
    expectSafe(head);
    expect(head.status).toBe(200);
    expect(head.body).toBe('');
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
  }
});

test('methods that an endpoint does not know are refused [RFC 9110 15.5.6]', async () => {
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    for (const path of [...endpoints, '/login/x', '/consent/x', '/workspace', '/', '/none']) {
      const answer = await call(issuer + path, { method });
      expectSafe(answer);
      expect([404, 405]).toContain(answer.status);
    }
  }
});

test('a normal sign-in still works [control]', async () => {
  const { url } = await authorize(await discover(issuer, 'acme-web'));
  expect((await browse(makeUserAgent(), url)).searchParams.has('code')).toBe(true);
});
