import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { updateTenant } from '#src/domain/tenants/tenants.ts';
import { changeUserStatus } from '#src/domain/users/life-cycle.ts';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

const day = 24 * 3600;

let fixture: Fixture;
let node: Node;
let issuer: string;
let insider: Insider;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  issuer = node.url;
  insider = await makeInsider(fixture);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const refresh = (client_id: string, refresh_token: string) =>
  call(`${issuer}/token`, {
    headers: basic(client_id),
    form: { grant_type: 'refresh_token', refresh_token },
  });
const secondsLeft = async (model: string, id: string) => {
  const row = await insider.find(model, id);
  return row && (row.expires_at.getTime() - Date.now()) / 1000;
};

async function takeCode(agent = makeUserAgent()) {
  const { url, checks } = await authorize(await discover(issuer, 'acme-web'));
  const callback = await browse(agent, url);
  const code = callback.searchParams.get('code')!;
  const redeem = () =>
    call(`${issuer}/token`, {
      headers: basic('acme-web'),
      form: {
        grant_type: 'authorization_code',
        code,
        redirect_uri,
        code_verifier: checks.pkceCodeVerifier,
      },
    });
  return { code, redeem };
}

describe('an authorization code lives for a minute of the database’s time [A-026, RFC 9700]', () => {
  test('and is good until its end', async () => {
    const { code, redeem } = await takeCode();
    const left = await secondsLeft('AuthorizationCode', code);
    expect(left).toBeGreaterThan(30);
    expect(left).toBeLessThanOrEqual(60);
    await insider.expireIn('AuthorizationCode', code, 10);
    expect((await redeem()).status).toBe(200);
  });

  test('and is refused after it', async () => {
    const { code, redeem } = await takeCode();
    await insider.expireIn('AuthorizationCode', code, -1);
    const answer = await expectUnchanged(fixture, redeem);
    expectRefusal(answer, { status: 400, error: 'invalid_grant' });
  });
});

describe('a refresh token that is rotated every day [A-066]', () => {
  /** With offline_access, so that it does not end with the session of the browser. */
  async function takeLasting(): Promise<string> {
    const config = await discover(issuer, 'acme-third');
    const { url, checks } = await authorize(config, { scope: 'openid offline_access', prompt: 'consent' });
    const agent = makeUserAgent();
    const login = await agent.follow(await agent.get(url.href));
    const consent = await agent.submit(login, { email: 'alice@example.test', password });
    const { location } = await agent.submit(consent, { decision: 'allow' });
    const tokens = await client.authorizationCodeGrant(config, new URL(location!), checks);
    return tokens.refresh_token!;
  }

  test('ends 30 days after the sign-in, though each one is fresh', async () => {
    let token = await takeLasting();
    let days = 0;
    for (; days < 40; days += 1) {
      const { grantId } = await insider.age('RefreshToken', token, day);
      await insider.age('Grant', String(grantId), day);
      const answer = await refresh('acme-third', token);
      expectSafe(answer);
      if (answer.status !== 200) {
        expectRefusal(answer, { status: 400, error: 'invalid_grant' });
        break;
      }
      token = JSON.parse(answer.body).refresh_token;
      expect(await secondsLeft('RefreshToken', token)).toBeLessThanOrEqual(Math.min(14, 29 - days) * day);
    }
    expect(days).toBe(29);
  });

  test('ends after 14 days without use', async () => {
    const token = await takeLasting();
    await insider.age('RefreshToken', token, 14 * day);
    expectRefusal(await refresh('acme-third', token), { status: 400, error: 'invalid_grant' });
  });

  test('of a first-party client ends with the session that it came from', async () => {
    const { tokens } = await completeFlow(issuer, 'acme-web');
    const { payload } = (await insider.find('RefreshToken', tokens.refresh_token!))!;
    expect(payload).toMatchObject({ expiresWithSession: true });
    await insider.expireSession(String(payload['sessionUid']));
    expectRefusal(await refresh('acme-web', tokens.refresh_token!), { status: 400, error: 'invalid_grant' });
  });
});

describe('who is switched off gets nothing more [A-075]', () => {
  const ofAlice = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
    withTenant(fixture.db, fixture.acme.tenant_id, work);

  test('a disabled user: no code, refresh, userinfo, silent sign-in or active token', async () => {
    const agent = makeUserAgent();
    const parameters = { resource: undefined, scope: 'openid email' };
    const { tokens, config } = await completeFlow(issuer, 'acme-web', { agent, parameters });
    const { redeem } = await takeCode(agent);
    await ofAlice((tx) => changeUserStatus(tx, fixture.acme.users.alice, 'disabled'));

    await expectUnchanged(fixture, async () => {
      expectRefusal(await refresh('acme-web', tokens.refresh_token!), {
        status: 400,
        error: 'invalid_grant',
      });
      expectRefusal(await redeem(), { status: 400, error: 'invalid_grant' });
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      expectRefusal(await call(`${issuer}/userinfo`, { headers }), { status: 401, error: 'invalid_token' });
      const form = { token: tokens.access_token };
      const answer = await call(`${issuer}/introspect`, { headers: basic('acme-web'), form });
      expect(JSON.parse(answer.body)).toEqual({ active: false });
    });
    const { url } = await authorize(config, { ...parameters, prompt: 'none' });
    const silent = await agent.follow(await agent.get(url.href));
    expect(new URL(silent.location!).searchParams.get('error')).toBe('login_required');
    const asked = await agent.follow(await agent.get((await authorize(config, parameters)).url.href));
    expectSafe(asked);
    expect(asked.body).toContain('name="password"');

    await ofAlice((tx) => changeUserStatus(tx, fixture.acme.users.alice, 'active'));
  });

  test('a disabled tenant: nothing more for its users, by its own or a shared client', async () => {
    const parameters = { tenant: 'globex', resource: undefined, scope: 'openid email' };
    const own = await completeFlow(issuer, 'globex-web', { parameters });
    const shared = await completeFlow(issuer, 'shared-web', { parameters });
    await withTenant(fixture.db, fixture.globex.tenant_id, (tx) => updateTenant(tx, { status: 'disabled' }));
    await eventually(async () => {
      const { status } = await call(`${issuer}/introspect`, {
        headers: basic('globex-web'),
        form: { token: 'x' },
      });
      return status === 401 || undefined;
    });

    for (const [client_id, { tokens }] of [
      ['globex-web', own],
      ['shared-web', shared],
    ] as const) {
      const answer = await expectUnchanged(fixture, () => refresh(client_id, tokens.refresh_token!));
      expectRefusal(answer, { status: [400, 401], error: ['invalid_grant', 'invalid_client'] });
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      expectRefusal(await call(`${issuer}/userinfo`, { headers }), { status: 401, error: 'invalid_token' });
      const { url } = await authorize(await discover(issuer, client_id), parameters);
      const page = await makeUserAgent().get(url.href);
      expectSafe(page);
      expect(page.location ?? '').not.toContain('/login/');
    }
    const machine = await call(`${issuer}/token`, {
      headers: basic('globex-m2m'),
      form: { grant_type: 'client_credentials' },
    });
    expectRefusal(machine, { status: 401, error: 'invalid_client' });
  });
});
