import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { basic, call } from '#test/support/call.ts';
import { type Answer, expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, resource } from '#test/support/fixture.ts';
import { openLogin } from '#test/support/login-form.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

const home = 'https://app.acme.test';
const redirect_uri = `${home}/callback`;
const foreign = [
  'https://evil.test',
  'null',
  'http://localhost:4000',
  'https://app.acme.test.evil.test',
  'https://app.acme.test:8443',
  'http://app.acme.test',
  'https://evil.app.acme.test',
  'https://APP.acme.test',
  'https://app.acme.test/',
  'https://app.acme.tes',
];

let fixture: Fixture;
let node: Node;
let issuer: string;
let tokens: { access_token: string; refresh_token: string };

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    putClient(tx, {
      client_id: 'acme-app',
      client_name: 'App',
      first_party: true,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      redirect_uris: [redirect_uri],
      resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
    }),
  );
  node = await startNode(fixture);
  issuer = node.url;
  tokens = await signIn();
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

async function signIn() {
  const agent = makeUserAgent();
  const verifier = client.randomPKCECodeVerifier();
  const query = new URLSearchParams({
    client_id: 'acme-app',
    redirect_uri,
    response_type: 'code',
    scope: 'openid email',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const page = await agent.follow(await agent.get(`${issuer}/auth?${query}`));
  const { location } = await agent.submit(page, { email: 'alice@example.test', password });
  const answer = await call(`${issuer}/token`, {
    form: {
      grant_type: 'authorization_code',
      client_id: 'acme-app',
      code: new URL(location!).searchParams.get('code')!,
      redirect_uri,
      code_verifier: verifier,
    },
  });
  return JSON.parse(answer.body);
}

const allowed = ({ headers }: Answer) => headers.get('access-control-allow-origin');

function expectNoCredentials(answer: Answer) {
  expectSafe(answer);
  expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
}

const refresh = (origin: string, client_id = 'acme-app') =>
  call(`${issuer}/token`, {
    headers: { origin },
    form: { grant_type: 'refresh_token', client_id, refresh_token: tokens.refresh_token },
  });
const userinfo = (origin: string, token = tokens.access_token) =>
  call(`${issuer}/userinfo`, { headers: { origin, authorization: `Bearer ${token}` } });

describe('a page of the client’s own origin [A-207, Fetch 3.2]', () => {
  test('may read userinfo and tokens, without cookies', async () => {
    const info = await userinfo(home);
    expectNoCredentials(info);
    expect([info.status, allowed(info), info.headers.get('vary')]).toEqual([200, home, 'Origin']);
    const refreshed = await refresh(home);
    expectNoCredentials(refreshed);
    expect([refreshed.status, allowed(refreshed), refreshed.headers.get('vary')]).toEqual([
      200,
      home,
      'Origin',
    ]);
    tokens = JSON.parse(refreshed.body);
  });
});

describe.each(foreign)('a page of %s [A-207]', (origin) => {
  test('reads no token and no userinfo of the client, and uses nothing up', async () => {
    for (const answer of [await refresh(origin), await userinfo(origin)]) {
      expectNoCredentials(answer);
      expect([answer.status, allowed(answer)]).toEqual([400, null]);
      expect(answer.body).not.toMatch(/token"|alice/);
    }
  });

  test('reads nothing where a client proves itself with a secret', async () => {
    for (const path of ['/token', '/par', '/introspect', '/revoke']) {
      const form = { grant_type: 'client_credentials', token: 'x', client_id: 'acme-m2m' };
      const answer = await call(issuer + path, { headers: { origin, ...basic('acme-m2m') }, form });
      expectNoCredentials(answer);
      expect([answer.status, allowed(answer)]).toEqual([400, null]);
      expect(answer.body).not.toContain('access_token');
    }
  });

  test('reads no refusal of a client that is not known', async () => {
    for (const path of ['/token', '/par', '/introspect', '/revoke']) {
      for (const form of [{}, { client_id: 'nobody' }, { client_id: 'nobody', client_secret: 'x' }]) {
        const answer = await call(issuer + path, { headers: { origin }, form });
        expectNoCredentials(answer);
        expect({ path, allowed: allowed(answer) }).toEqual({ path, allowed: null });
      }
    }
  });

  test('reads no page, and nothing of the sign-in', async () => {
    const { page } = await openLogin(issuer);
    const paths = [
      '/',
      '/auth?client_id=acme-app',
      '/workspace',
      '/logout',
      '/logout/success',
      '/none',
      '/healthz',
    ];
    for (const url of [...paths.map((path) => issuer + path), page.url]) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const answer = await call(url, {
          method,
          headers: { origin, 'access-control-request-method': 'POST' },
        });
        expectNoCredentials(answer);
        expect({ url, method, allowed: allowed(answer) }).toEqual({ url, method, allowed: null });
      }
    }
  });

  test('may read the public documents, as anybody may', async () => {
    for (const path of [
      '/jwks',
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
    ]) {
      const answer = await call(issuer + path, { headers: { origin } });
      expectNoCredentials(answer);
      expect([answer.status, allowed(answer)]).toEqual([200, '*']);
    }
  });

  test('is told by a preflight no more than the methods', async () => {
    for (const path of ['/token', '/userinfo', '/par', '/revoke', '/introspect']) {
      const answer = await call(issuer + path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'dpop',
        },
      });
      expectNoCredentials(answer);
      expect(answer.status).toBe(204);
      expect(answer.body).toBe('');
      expect(answer.headers.get('vary')).toBe('Origin');
    }
  });
});

test('the issuer’s own origin has no privilege [A-207]', async () => {
  const answer = await refresh(issuer);
  expectNoCredentials(answer);
  expect([answer.status, allowed(answer)]).toEqual([400, null]);
});

test('after all that the refresh token still works at home [A-207]', async () => {
  expect((await refresh(home)).status).toBe(200);
});
