import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { type Answer, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, resource } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

type Pairs = [string, string][];

async function expectRefused(ask: () => Promise<Answer>, what: unknown, statuses = [400]) {
  const answer = await expectUnchanged(fixture, ask);
  expectSafe(answer);
  const location = answer.headers.get('location');
  const error = location ? new URL(location, issuer).searchParams.get('error') : undefined;
  expect({ what, refused: statuses.includes(answer.status) || error === 'invalid_request' }).toEqual({
    what,
    refused: true,
  });
  expect(location ?? '').not.toMatch(/code=|\/login\/|evil/);
  expect(answer.body).not.toContain('"access_token"');
}

const authorization = {
  client_id: 'acme-web',
  redirect_uri,
  response_type: 'code',
  scope: 'openid read',
  resource,
  state: 's',
  nonce: 'n',
  code_challenge: 'a'.repeat(43),
  code_challenge_method: 'S256',
  prompt: 'login',
  max_age: '100',
  login_hint: 'alice@example.test',
  acr_values: 'urn:tessera:aal1',
  ui_locales: 'en',
  response_mode: 'query',
  tenant: 'acme',
};

describe('a parameter that comes twice is refused [A-211, RFC 6749 3.1 and 3.2]', () => {
  // RFC 8707 section 2 lets a resource be named twice, and there is one for all that is asked for here.
  const names = Object.keys(authorization).filter((name) => name !== 'resource');

  test.each(names)(
    '%s at the authorization endpoint, by GET, by POST, and over query and form',
    async (name) => {
      const pairs: Pairs = Object.entries(authorization);
      for (const value of [authorization[name as keyof typeof authorization], 'other']) {
        const twice: Pairs = [...pairs, [name, value]];
        const query = new URLSearchParams(twice);
        await expectRefused(
          () => call(`${issuer}/auth?${query}`, { headers: { accept: 'text/html' } }),
          name,
        );
        const posted = await call(`${issuer}/auth`, { form: twice });
        await expectRefused(() => call(new URL(posted.headers.get('location')!, issuer).href), name);
        const mixed = await call(`${issuer}/auth?${new URLSearchParams([[name, value]])}`, { form: pairs });
        await expectRefused(() => call(new URL(mixed.headers.get('location')!, issuer).href), name);
      }
    },
  );

  test.each([...names, 'client_secret', 'request', 'request_uri'])(
    '%s at the pushed request endpoint',
    async (name) => {
      const pairs: Pairs = [
        ...Object.entries(authorization),
        ['client_secret', 'acme-web-secret-of-the-fixture'],
      ];
      const value = Object.fromEntries(pairs)[name] ?? 'x';
      await expectRefused(
        () => call(`${issuer}/par`, { form: [...pairs, [name, value], [name, value]] }),
        name,
        [400, 401],
      );
    },
  );

  test('each one of the token endpoint', async () => {
    const code = await takeCode();
    const { tokens } = await completeFlow(issuer, 'acme-web');
    const grants: Record<string, Pairs> = {
      authorization_code: Object.entries(code),
      refresh_token: [
        ['grant_type', 'refresh_token'],
        ['refresh_token', tokens.refresh_token!],
        ['scope', 'read'],
      ],
      client_credentials: [
        ['grant_type', 'client_credentials'],
        ['scope', 'read'],
      ],
    };
    for (const [grant, pairs] of Object.entries(grants)) {
      const headers = basic(grant === 'client_credentials' ? 'acme-m2m' : 'acme-web');
      for (const [name, value] of pairs) {
        for (const again of [value, 'other']) {
          await expectRefused(
            () => call(`${issuer}/token`, { headers, form: [...pairs, [name, again]] }),
            [grant, name],
          );
        }
      }
    }
    const form = Object.entries(code) as Pairs;
    expect((await call(`${issuer}/token`, { headers: basic('acme-web'), form })).status).toBe(200);
  });

  test.each(['/introspect', '/revoke'])('each one of %s', async (path) => {
    const pairs: Pairs = [
      ['token', 'x'],
      ['token_type_hint', 'access_token'],
      ['client_id', 'acme-web'],
    ];
    for (const pair of pairs) {
      await expectRefused(
        () => call(issuer + path, { headers: basic('acme-web'), form: [...pairs, pair] }),
        pair,
      );
    }
  });

  test('each one of the sign-out', async () => {
    const pairs: Pairs = [
      ['client_id', 'acme-web'],
      ['post_logout_redirect_uri', 'http://localhost:4000/signed-out'],
      ['state', 'x'],
      ['id_token_hint', 'x'],
      ['logout_hint', 'x'],
      ['ui_locales', 'en'],
    ];
    for (const [name, value] of pairs) {
      const query = new URLSearchParams([
        ...pairs.filter(([other]) => other !== 'id_token_hint'),
        [name, value],
        [name, value],
      ]);
      await expectRefused(
        () => call(`${issuer}/logout?${query}`, { headers: { accept: 'text/html' } }),
        name,
      );
    }
  });
});

async function takeCode() {
  const config = await discover(issuer, 'acme-web');
  const { url, checks } = await authorize(config);
  const callback = await browse(makeUserAgent(), url);
  return {
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code')!,
    redirect_uri,
    code_verifier: checks.pkceCodeVerifier,
  };
}

describe('a parameter that is spelt otherwise is another one [A-211]', () => {
  const spell = (name: string) => [
    name.toUpperCase(),
    `${name}[]`,
    `${name}[0]`,
    ` ${name}`,
    `${name} `,
    `${name}\u0009`,
    `amp;${name}`,
  ];

  test('at the token endpoint', async () => {
    for (const name of ['grant_type', 'client_id', 'client_secret', 'scope', 'resource']) {
      for (const other of spell(name)) {
        const form = {
          grant_type: 'client_credentials',
          [other]: name === 'scope' ? 'read write' : 'acme-web',
        };
        const answer = await call(`${issuer}/token`, { headers: basic('acme-m2m'), form });
        expectSafe(answer);
        expect({ other, status: answer.status }).toEqual({ other, status: 200 });
        expect(answer.body).not.toContain('write');
      }
      const { status } = await call(`${issuer}/token`, {
        form: { [spell(name)[0]!]: 'client_credentials', client_id: 'acme-m2m' },
      });
      expect([400, 401]).toContain(status);
    }
  });

  test('at the authorization endpoint, where it cannot add to what was asked', async () => {
    for (const other of spell('redirect_uri')) {
      const query = new URLSearchParams({ ...authorization, [other]: 'https://evil.test/' });
      const answer = await call(`${issuer}/auth?${query}`);
      expectSafe(answer);
      expect(answer.headers.get('location')).toMatch(/^\/login\/[\w-]+$/);
    }
    const { redirect_uri: _, ...without } = authorization;
    for (const other of spell('redirect_uri')) {
      const query = new URLSearchParams({ ...without, [other]: redirect_uri });
      await expectRefused(() => call(`${issuer}/auth?${query}`), other);
    }
  });

  test('a semicolon parts nothing', async () => {
    const answer = await call(`${issuer}/token`, {
      method: 'POST',
      headers: { ...basic('acme-m2m'), 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials;scope=read',
    });
    expectSafe(answer);
    expect(answer.status).toBe(400);
    const query = new URLSearchParams(authorization).toString().replaceAll('&', ';');
    await expectRefused(() => call(`${issuer}/auth?${query}`), query);
  });
});

describe('what belongs into a form is not taken from the query [A-211, RFC 6749 2.3.1]', () => {
  test.each(['/token', '/par', '/introspect', '/revoke'])('at %s', async (path) => {
    const secret = { client_id: 'acme-web', client_secret: 'acme-web-secret-of-the-fixture' };
    const rest = { ...authorization, grant_type: 'client_credentials', token: 'x' };
    await expectRefused(
      () => call(`${issuer}${path}?${new URLSearchParams({ ...rest, ...secret })}`, { form: {} }),
      'all in the query',
      [400, 401],
    );
    await expectRefused(
      () => call(`${issuer}${path}?${new URLSearchParams(secret)}`, { form: rest }),
      'the secret in the query',
      [400, 401],
    );
  });

  test('nor does the query add to the form', async () => {
    const answer = await call(
      `${issuer}/token?scope=write&client_id=acme-web&resource=https%3A%2F%2Fevil.test`,
      {
        headers: basic('acme-m2m'),
        form: { grant_type: 'client_credentials', scope: 'read' },
      },
    );
    expectSafe(answer);
    expect(answer.status === 400 || JSON.parse(answer.body).scope === 'read').toBe(true);
  });
});
