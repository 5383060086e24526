import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { type Code, obtainCode, redeem, refresh } from '#test/support/code.ts';
import { type Answer, expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, secretOf } from '#test/support/fixture.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { runStatements } from '#test/support/postgres.ts';
import { freePort, type Node, startNode } from '#test/support/server.ts';

let fixture: Fixture;
let node: Node;
let insider: Insider;
let issuer: string;
let start: () => Promise<Node>;

beforeAll(async () => {
  fixture = await createFixture();
  const port = await freePort();
  issuer = `http://localhost:${port}`;
  start = () => startNode(fixture, { issuer, env: { PORT: String(port), MASTER_KEYS: insiderMasterKeys } });
  node = await start();
  insider = await makeInsider(fixture);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

interface Tokens {
  access_token: string;
  refresh_token: string;
}

const readTokens = (answer: Answer): Tokens => {
  expectSafe(answer);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body);
};

const userinfo = (access_token: string) =>
  call(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${access_token}` } });

const invalidGrant = { status: 400, error: 'invalid_grant' };

/** How many live objects there are of what a grant gives out. */
async function countGranted(): Promise<Record<string, unknown>[]> {
  return runStatements(fixture.urls.superUrl, [
    `select model, count(*)::int from protocol_store
     where model in ('Grant', 'AuthorizationCode', 'AccessToken', 'RefreshToken') group by model order by model`,
  ]);
}

async function expectFamilyDead(before: unknown, access_tokens: string[], refresh_tokens: string[]) {
  expect(await countGranted()).toEqual(before);
  for (const access_token of access_tokens) {
    const answer = await userinfo(access_token);
    expectSafe(answer);
    expect(answer.status).toBe(401);
    const introspected = await call(`${issuer}/introspect`, {
      form: { token: access_token },
      headers: basic('acme-web'),
    });
    expect(JSON.parse(introspected.body)).toEqual({ active: false });
  }
  for (const refresh_token of refresh_tokens) {
    expectRefusal(await refresh(issuer, 'acme-web', refresh_token), invalidGrant);
  }
}

describe('a code used again', () => {
  test('is refused, and what the first use gave is dead: both tokens and the grant [A-021, RFC 6749 4.1.2]', async () => {
    const before = await countGranted();
    const code = await obtainCode(issuer, 'acme-web');
    const { access_token, refresh_token } = readTokens(await redeem(issuer, code));
    expect((await userinfo(access_token)).status).toBe(200);

    expectRefusal(await redeem(issuer, code), invalidGrant);
    await expectFamilyDead(before, [access_token], [refresh_token]);
    expectRefusal(await redeem(issuer, code), invalidGrant);
  });

  test('after half a minute and a restart of the node kills the newest descendant of two rotations [A-022]', async () => {
    const before = await countGranted();
    const code = await obtainCode(issuer, 'acme-web');
    const first = readTokens(await redeem(issuer, code));
    await runStatements(fixture.urls.superUrl, [
      `update protocol_store
       set consumed_at = consumed_at - interval '31 seconds', expires_at = expires_at - interval '31 seconds'
       where model = 'AuthorizationCode'`,
    ]);
    const second = readTokens(await refresh(issuer, 'acme-web', first.refresh_token));
    await node.stop();
    node = await start();
    const third = readTokens(await refresh(issuer, 'acme-web', second.refresh_token));
    expect((await userinfo(third.access_token)).status).toBe(200);

    expectRefusal(await redeem(issuer, code), invalidGrant);
    await expectFamilyDead(
      before,
      [first.access_token, second.access_token, third.access_token],
      [third.refresh_token, second.refresh_token, first.refresh_token],
    );
  });

  test('by another client changes nothing for its own [A-021, A-023]', async () => {
    const code = await obtainCode(issuer, 'acme-web');
    const { access_token } = readTokens(await redeem(issuer, code));
    for (const thief of ['acme-third', 'globex-web']) {
      expectRefusal(await redeem(issuer, code, { headers: basic(thief) }), invalidGrant);
    }
    expect((await userinfo(access_token)).status).toBe(200);
  });
});

describe('a code of one client', () => {
  type Attempt = (code: Code) => Promise<Answer>;
  const spa: Attempt = (code) => redeem(issuer, code, { headers: {}, form: { client_id: 'acme-spa' } });
  const attempts: [string, Attempt, { status: number; error: string }][] = [
    [
      'another client of the tenant',
      (code) => redeem(issuer, code, { headers: basic('acme-third') }),
      invalidGrant,
    ],
    ['a public client of the tenant', spa, invalidGrant],
    ['the other tenant’s', (code) => redeem(issuer, code, { headers: basic('globex-web') }), invalidGrant],
    ['a shared client', (code) => redeem(issuer, code, { headers: basic('shared-web') }), invalidGrant],
    ['no client', (code) => redeem(issuer, code, { headers: {} }), { status: 400, error: 'invalid_request' }],
    [
      'its own client_id without a secret',
      (code) => redeem(issuer, code, { headers: {}, form: { client_id: code.client_id } }),
      { status: 401, error: 'invalid_client' },
    ],
    [
      'itself with a wrong secret',
      (code) => redeem(issuer, code, { headers: basic('acme-web', secretOf('globex-web')) }),
      { status: 401, error: 'invalid_client' },
    ],
    [
      'a client that may not have codes',
      (code) => redeem(issuer, code, { headers: basic('acme-m2m') }),
      { status: 400, error: 'invalid_request' },
    ],
  ];

  test.each(attempts)(
    'is refused to %s, and still good for its own [A-023, RFC 6749 4.1.3]',
    async (_, attempt, refusal) => {
      const code = await obtainCode(issuer, 'acme-web');
      expectRefusal(await expectUnchanged(fixture, () => attempt(code)), refusal);
      readTokens(await redeem(issuer, code));
    },
  );

  test('of a shared client in one tenant gives no token of another [A-023, decision 2]', async () => {
    const code = await obtainCode(issuer, 'shared-web', { parameters: { tenant: 'acme' } });
    const tenant_id = fixture.globex.tenant_id;
    const { access_token } = readTokens(
      await redeem(issuer, code, { form: { tenant: 'globex', tenant_id, resource: undefined } }),
    );
    expect(JSON.parse((await userinfo(access_token)).body)).toMatchObject({
      tenant_id: fixture.acme.tenant_id,
    });
  });
});

describe('a code', () => {
  test('lives for a minute by the clock of the database [A-026, O-17]', async () => {
    const code = await obtainCode(issuer, 'acme-web');
    const row = await insider.find('AuthorizationCode', code.code);
    const [now] = await runStatements(fixture.urls.superUrl, ['select now() as now']);
    const left = (row!.expires_at.getTime() - (now!['now'] as Date).getTime()) / 1_000;
    expect(left).toBeGreaterThan(50);
    expect(left).toBeLessThanOrEqual(60);

    await insider.expireIn('AuthorizationCode', code.code, -1);
    expectRefusal(await redeem(issuer, code), invalidGrant);
    await insider.expireIn('AuthorizationCode', code.code, 5);
    readTokens(await redeem(issuer, code));
  });

  test('that nobody was given is refused [RFC 6749 5.2]', async () => {
    const code = await obtainCode(issuer, 'acme-web');
    const wrong = [
      '',
      'x',
      '\u0000',
      'a'.repeat(43),
      `${code.code}x`,
      code.code.toUpperCase(),
      `${code.code}\u0000`,
    ];
    for (const other of wrong) {
      const answer = await expectUnchanged(fixture, () => redeem(issuer, { ...code, code: other }));
      expectRefusal(answer, { status: 400, error: other === '' ? 'invalid_request' : 'invalid_grant' });
    }
    readTokens(await redeem(issuer, code));
  });
});
