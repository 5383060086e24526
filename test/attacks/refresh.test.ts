import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, type Call, call } from '#test/support/call.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, resource } from '#test/support/fixture.ts';
import { completeFlow } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';

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

interface Tokens {
  access_token: string;
  refresh_token: string;
  scope: string;
}

const opaque = { resource: undefined, scope: 'openid email profile' };

async function start(
  client_id: string,
  parameters: Record<string, string | undefined> = opaque,
): Promise<Tokens> {
  const { tokens } = await completeFlow(issuer, client_id, { parameters });
  return tokens as unknown as Tokens;
}

const refresh = (refresh_token: string, { form = {}, headers = basic('acme-web') }: Call = {}) =>
  call(`${issuer}/token`, {
    form: { grant_type: 'refresh_token', refresh_token, ...(form as Record<string, string>) },
    headers,
  });

async function expectRefreshed(refresh_token: string, request: Call = {}): Promise<Tokens> {
  const answer = await refresh(refresh_token, request);
  expectSafe(answer);
  expect({ status: answer.status, body: answer.body }).toMatchObject({ status: 200 });
  return JSON.parse(answer.body);
}

const userinfo = (token: string) =>
  call(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });

describe('a refresh token that was used already [A-063, RFC 9700 4.14.2]', () => {
  test.each([
    ['acme-web', { headers: basic('acme-web') }],
    ['acme-spa', { headers: {}, form: { client_id: 'acme-spa' } }],
  ] as [string, Call][])('of %s takes all of its family with it', async (client_id, as) => {
    const first = await start(client_id);
    const second = await expectRefreshed(first.refresh_token, as);
    const third = await expectRefreshed(second.refresh_token, as);

    expectRefusal(await refresh(first.refresh_token, as), { status: 400, error: 'invalid_grant' });

    for (const { refresh_token } of [first, second, third]) {
      expectRefusal(await refresh(refresh_token, as), { status: 400, error: 'invalid_grant' });
    }
    for (const { access_token } of [first, second, third]) {
      expectRefusal(await userinfo(access_token), { status: 401, error: 'invalid_token' });
    }
    expect(node.log.findLast(({ msg }) => msg === 'grant revoked')).toMatchObject({
      event: 'grant.revoked',
      client_id,
    });
  });

  test('of one sign-in leaves another sign-in alone', async () => {
    const stolen = await start('acme-web');
    const other = await start('acme-web');
    await expectRefreshed(stolen.refresh_token);
    expectRefusal(await refresh(stolen.refresh_token), { status: 400, error: 'invalid_grant' });
    await expectRefreshed(other.refresh_token);
  });

  test('of another client’s thief is refused and revokes nothing', async () => {
    const first = await start('acme-web');
    const second = await expectRefreshed(first.refresh_token);
    const answer = await expectUnchanged(fixture, () =>
      refresh(first.refresh_token, { headers: {}, form: { client_id: 'acme-spa' } }),
    );
    expectRefusal(answer, { status: 400, error: 'invalid_grant' });
    await expectRefreshed(second.refresh_token);
  });
});

describe('a refresh token in other hands [A-064, RFC 6749 6]', () => {
  let tokens: Tokens;
  beforeAll(async () => {
    tokens = await start('acme-web');
  });

  test.each([
    ['without client authentication', {}],
    ['with the client_id alone', { form: { client_id: 'acme-web' } }],
    ['with a wrong secret', { headers: basic('acme-web', 'wrong') }],
    ['by another client', { headers: basic('acme-third') }],
    ['by a public client', { form: { client_id: 'acme-spa' } }],
    ['by the same client of another tenant', { headers: basic('globex-web') }],
    ['by a public client of another tenant', { form: { client_id: 'globex-spa' } }],
    ['by a shared client', { headers: basic('shared-web') }],
    ['by a machine', { headers: basic('acme-m2m') }],
  ] as [string, Call][])('%s is refused and not used up', async (_, request) => {
    const answer = await expectUnchanged(fixture, () =>
      refresh(tokens.refresh_token, { headers: {}, ...request }),
    );
    expectRefusal(answer, {
      status: [400, 401],
      error: ['invalid_client', 'invalid_grant', 'invalid_request'],
    });
  });

  test('still serves its own client after all that', async () => {
    await expectRefreshed(tokens.refresh_token);
  });

  test('is no access token, code or pushed request, nor is one of them a refresh token', async () => {
    const { access_token, refresh_token } = await start('acme-web');
    expectRefusal(await userinfo(refresh_token), { status: 401, error: 'invalid_token' });
    expectRefusal(await refresh(access_token), { status: 400, error: 'invalid_grant' });
    const redeemed = await expectUnchanged(fixture, () =>
      call(`${issuer}/token`, {
        headers: basic('acme-web'),
        form: {
          grant_type: 'authorization_code',
          code: refresh_token,
          redirect_uri: 'http://localhost:4000/callback',
          code_verifier: 'x'.repeat(43),
        },
      }),
    );
    expectRefusal(redeemed, { status: 400, error: 'invalid_grant' });
  });

  test.each([
    ['cut short', (token: string) => token.slice(0, -1)],
    ['with a changed character', (token: string) => (token.startsWith('A') ? 'B' : 'A') + token.slice(1)],
    ['in another case', (token: string) => token.toUpperCase()],
    ['with a blank behind it', (token: string) => `${token} `],
    ['with a NUL behind it', (token: string) => `${token}\u0000`],
    ['twice', (token: string) => `${token} ${token}`],
    ['of 40 kB', (token: string) => token.padEnd(40_000, 'x')],
  ])('%s is refused', async (_, change) => {
    const { refresh_token } = await start('acme-web');
    const answer = await expectUnchanged(fixture, () => refresh(change(refresh_token)));
    expectRefusal(answer, { status: 400, error: 'invalid_grant' });
  });
});

describe('the scope of a refresh [A-065, RFC 6749 6]', () => {
  test.each(['openid email profile offline_access', 'openid read', 'write', 'openid admin', 'OPENID'])(
    'more than was granted, %s, is refused',
    async (scope) => {
      const { refresh_token } = await start('acme-web', { ...opaque, scope: 'openid email' });
      const answer = await expectUnchanged(fixture, () => refresh(refresh_token, { form: { scope } }));
      expectRefusal(answer, { status: 400, error: 'invalid_scope' });
    },
  );

  test('less is given, and later all of it again, but no more', async () => {
    const first = await start('acme-web');
    const less = await expectRefreshed(first.refresh_token, { form: { scope: 'openid' } });
    expect(less.scope).toBe('openid');
    expect(JSON.parse((await userinfo(less.access_token)).body)).not.toHaveProperty('email');
    const all = await expectRefreshed(less.refresh_token, { form: { scope: opaque.scope } });
    expect(all.scope.split(' ').sort()).toEqual(['email', 'openid', 'profile']);
    const more = await expectUnchanged(fixture, () =>
      refresh(all.refresh_token, { form: { scope: `${opaque.scope} offline_access` } }),
    );
    expectRefusal(more, { status: 400, error: 'invalid_scope' });
    await expectRefreshed(all.refresh_token);
  });

  test('a resource that was not granted is refused and the token not used up', async () => {
    const { refresh_token } = await start('acme-web');
    for (const other of [resource, 'https://evil.test', `${issuer}/api`, `${resource}/`]) {
      const answer = await expectUnchanged(fixture, () =>
        refresh(refresh_token, { form: { resource: other } }),
      );
      expectRefusal(answer, { status: 400, error: 'invalid_target' });
    }
    await expectRefreshed(refresh_token);
  });
});
