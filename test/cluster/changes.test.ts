import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type * as client from 'openid-client';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { setClientStatus } from '#src/domain/clients/clients.ts';
import { updateTenant } from '#src/domain/tenants/tenants.ts';
import { changeUserStatus } from '#src/domain/users/life-cycle.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, completeFlow } from '#test/support/flow.ts';
import { type Answer, basic, cookiesOf, outcome, type RawRequest, race } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let cluster: Cluster;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

const change = <T>(tenant: 'acme' | 'globex', work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture[tenant].tenant_id, work);

/** What each of the two nodes answers. */
const askBoth = async (request: RawRequest): Promise<string[]> =>
  (await race(cluster, request, 2)).map((answer: Answer) => outcome(answer));

/** Waits until both nodes answer so; they may take a moment to hear of the change. */
async function untilBoth(request: RawRequest, expected: string) {
  const seen: string[][] = [];
  await eventually(async () => {
    seen.push(await askBoth(request));
    return seen.at(-1)!.every((answer) => answer === expected) || undefined;
  }).catch(() => expect(seen.at(-1)).toEqual([expected, expected]));
}

const machineToken = (client_id: string, secret = secretOf(client_id)): RawRequest => ({
  path: '/token',
  headers: basic(client_id, secret),
  form: { grant_type: 'client_credentials', resource },
});

const refresh = (client_id: string, refresh_token: string): RawRequest => ({
  path: '/token',
  headers: basic(client_id, secretOf(client_id)),
  form: { grant_type: 'refresh_token', refresh_token },
});

/** An authorization request that may show no page. */
async function silent(agent: UserAgent, config: client.Configuration, parameters = {}): Promise<RawRequest> {
  const { url } = await authorize(config, { prompt: 'none', ...parameters });
  return { path: url.pathname + url.search, headers: await cookiesOf(agent, url.href) };
}

describe('a change bites on both nodes, which had cached what was before [G-13, A-060]', () => {
  test('a disabled client gets no token, and gets one when it is enabled again', async () => {
    expect(await askBoth(machineToken('acme-m2m'))).toEqual(['200', '200']);
    await change('acme', (tx) => setClientStatus(tx, 'acme-m2m', 'disabled'));
    await untilBoth(machineToken('acme-m2m'), '401 invalid_client');
    await change('acme', (tx) => setClientStatus(tx, 'acme-m2m', 'active'));
    await untilBoth(machineToken('acme-m2m'), '200');
  });

  test('a replaced secret is refused, and the new one taken', async () => {
    const [before, after] = [
      machineToken('globex-m2m'),
      machineToken('globex-m2m', 'the secret that comes next'),
    ];
    expect(await askBoth(before)).toEqual(['200', '200']);
    expect(await askBoth(after)).toEqual(['401 invalid_client', '401 invalid_client']);
    await change('globex', (tx) =>
      addClientSecret(tx, 'globex-m2m', { secret: 'the secret that comes next', retire_at: new Date() }),
    );
    await untilBoth(after, '200');
    await untilBoth(before, '401 invalid_client');
  });

  test('a disabled user gets neither tokens nor a code', async () => {
    const agent = makeUserAgent();
    const { config, tokens } = await completeFlow(cluster.issuer, 'acme-web', {
      agent,
      email: 'bob@example.test',
    });
    expect(await askBoth(await silent(agent, config))).toEqual(['303 code', '303 code']);
    await change('acme', (tx) => changeUserStatus(tx, fixture.acme.users.bob, 'disabled'));
    expect(await askBoth(await silent(agent, config))).toEqual(['303 login_required', '303 login_required']);
    // Where a page may be shown it is the sign-in page, for somebody else.
    expect(await askBoth(await silent(agent, config, { prompt: undefined }))).toEqual(['303', '303']);
    expect(await askBoth(refresh('acme-web', tokens.refresh_token!))).toEqual([
      '400 invalid_grant',
      '400 invalid_grant',
    ]);
  });

  test('a disabled tenant is served no more: its machines, its sessions, its people at shared clients', async () => {
    const agent = makeUserAgent();
    const own = await completeFlow(cluster.issuer, 'globex-web', { agent });
    const shared = await completeFlow(cluster.issuer, 'shared-web', {
      agent,
      parameters: { tenant: 'globex' },
    });
    const bySlug = { tenant: 'globex' };
    expect(await askBoth(await silent(agent, own.config))).toEqual(['303 code', '303 code']);
    expect(await askBoth(await silent(agent, shared.config, bySlug))).toEqual(['303 code', '303 code']);

    await change('globex', (tx) => updateTenant(tx, { status: 'disabled' }));
    await untilBoth(machineToken('globex-m2m', 'the secret that comes next'), '401 invalid_client');
    await untilBoth(refresh('globex-web', own.tokens.refresh_token!), '401 invalid_client');
    await untilBoth(refresh('shared-web', shared.tokens.refresh_token!), '400 invalid_grant');
    await untilBoth(await silent(agent, own.config), '400');
    await untilBoth(await silent(agent, shared.config, bySlug), '303 login_required');
    // The neighbour goes on.
    expect(await askBoth(machineToken('acme-m2m'))).toEqual(['200', '200']);
  });
});

test('a session that is ended on one node is refused on both at once, with all that it gave out [A-129, G-13]', async () => {
  const agent = makeUserAgent();
  const { config, tokens } = await completeFlow(cluster.issuer, 'acme-web', { agent });
  const parameters = { resource: undefined, scope: 'openid' };
  const { access_token } = (await completeFlow(cluster.issuer, 'acme-web', { agent, parameters })).tokens;
  const userinfo: RawRequest = {
    path: '/userinfo',
    headers: { accept: 'application/json', authorization: `Bearer ${access_token}` },
  };
  expect(await askBoth(userinfo)).toEqual(['200', '200']);
  expect(await askBoth(await silent(agent, config))).toEqual(['303 code', '303 code']);

  // The sign-out is confirmed on one node; the other one is asked right after its answer.
  const url = `${cluster.issuer}/logout?client_id=acme-web`;
  const page = await agent.get(url);
  const { action, fields } = readForms(page.body)[0]!;
  const confirm = new URL(action, url);
  const silently = await silent(agent, config);
  const [first] = cluster.nodes;
  const [answer] = await race({ issuer: cluster.issuer, nodes: [first!] }, [
    {
      path: confirm.pathname,
      headers: await cookiesOf(agent, confirm.href),
      form: { ...fields, logout: 'yes' },
    },
  ]);
  expect(answer!.status).toBe(303);
  expect(await askBoth(userinfo)).toEqual(['401 invalid_token', '401 invalid_token']);
  expect(await askBoth(silently)).toEqual(['303 login_required', '303 login_required']);
  const denied = '400 invalid_grant';
  expect(await askBoth(refresh('acme-web', tokens.refresh_token!))).toEqual([denied, denied]);
});
