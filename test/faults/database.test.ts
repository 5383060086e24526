import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type * as client from 'openid-client';
import { type DatabaseProxy, startDatabaseProxy } from '#test/support/database-proxy.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, redirect_uri, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Answer, basic, cookiesOf, outcome, type RawRequest, race } from '#test/support/race.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let database: DatabaseProxy;
let node: Node;
let agent: UserAgent;
let config: client.Configuration;

beforeAll(async () => {
  fixture = await createFixture();
  database = await startDatabaseProxy(fixture.urls.runtimeUrl);
  node = await startNode({
    urls: {
      ...fixture.urls,
      runtimeUrl: database.through(fixture.urls.runtimeUrl),
      ownerUrl: database.through(fixture.urls.ownerUrl),
    },
  });
  agent = makeUserAgent();
  ({ config } = await completeFlow(node.url, 'acme-web', { agent }));
});
afterAll(async () => {
  await node?.stop();
  database?.stop();
  await fixture?.drop();
});

const web = basic('acme-web', secretOf('acme-web'));

const ask = (requests: RawRequest[]) => race({ issuer: node.url, nodes: [node] }, requests);
const askOne = async (request: RawRequest): Promise<string> => outcome((await ask([request]))[0]!);
const until = (request: RawRequest, expected: string) =>
  eventually(async () => (await askOne(request)) === expected || undefined);

const machineToken: RawRequest = {
  path: '/token',
  headers: basic('acme-m2m', secretOf('acme-m2m')),
  form: { grant_type: 'client_credentials', resource },
};
const refresh = (refresh_token: string): RawRequest => ({
  path: '/token',
  headers: web,
  form: { grant_type: 'refresh_token', refresh_token },
});

async function makeCode(): Promise<RawRequest> {
  const { url, checks } = await authorize(config, { prompt: 'none', scope: 'openid', resource: undefined });
  const callback = await browse(agent, url);
  return {
    path: '/token',
    headers: web,
    form: {
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code')!,
      redirect_uri,
      code_verifier: checks.pkceCodeVerifier,
    },
  };
}

async function authorizationRequest(parameters: Record<string, string>): Promise<RawRequest> {
  const { url } = await authorize(config, parameters);
  return { path: url.pathname + url.search, headers: await cookiesOf(agent, url.href) };
}

const describeRetry = (answer: Answer) => `${answer.status} ${answer.headers.get('retry-after')}`;

/** What needs the database, each with something that is good. */
async function makeNeeding() {
  const code = await makeCode();
  const [redeemed] = await ask([await makeCode()]);
  const { access_token, refresh_token } = redeemed!.json as Record<string, string>;
  return {
    code,
    renewal: refresh(refresh_token!),
    silent: await authorizationRequest({ prompt: 'none' }),
    interactive: await authorizationRequest({ prompt: 'login' }),
    userinfo: {
      path: '/userinfo',
      headers: { authorization: `Bearer ${access_token}`, accept: 'application/json' },
    },
    introspection: { path: '/introspect', headers: web, form: { token: refresh_token! } },
  };
}

const fromMemory = ['/jwks', '/.well-known/openid-configuration', '/healthz'].map((path) => ({ path }));
const ready: RawRequest = { path: '/readyz' };

describe.each(['refuse', 'reset', 'stall', 'slow'] as const)('a database that is away (%s)', (mode) => {
  test('is 503 with Retry-After where it is needed, nothing elsewhere, and over when it is back [A-217, A-232, A-239, F-01]', async () => {
    const needing = await makeNeeding();
    await database.set(mode);

    const startedAt = performance.now();
    const answers = await ask(Object.values(needing));
    // A request may spend five and a half seconds on the database.
    expect(performance.now() - startedAt).toBeLessThan(9_000);
    expect(answers.map(describeRetry)).toEqual(answers.map(() => '503 2'));
    // Nothing cached is believed for long.
    await until(machineToken, '503 temporarily_unavailable');
    expect((await ask(fromMemory)).map(outcome)).toEqual(['200', '200', '200']);
    expect(await askOne(ready)).toBe('503');

    await database.set('pass');
    await until(ready, '200');
    expect(await askOne(machineToken)).toBe('200');
    // The code and the refresh token were not used up, and each is good for one use.
    expect(await askOne(needing.code)).toBe('200');
    expect(await askOne(needing.code)).toBe('400 invalid_grant');
    expect(await askOne((await makeNeeding()).renewal)).toBe('200');
    expect(node.log.filter(({ msg }) => /uncaught|unhandled/i.test(String(msg)))).toEqual([]);
  });
});

describe('a database that turned read-only', () => {
  const allow = (writing: boolean) =>
    runStatements(fixture.urls.superUrl, [
      'set default_transaction_read_only = off',
      `alter database ${new URL(fixture.urls.superUrl).pathname.slice(1)}
       set default_transaction_read_only = ${writing ? 'off' : 'on'}`,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'tessera'`,
    ]);

  test('is 503 for what must be kept, half of nothing is kept, and reading goes on [A-231, F-14]', async () => {
    const { code, renewal, silent, interactive, userinfo } = await makeNeeding();
    await allow(false);
    await until(ready, '200');
    const answers = await ask([code, renewal, silent, interactive]);
    expect(answers.map(describeRetry)).toEqual(answers.map(() => '503 2'));
    expect((await ask([...fromMemory, userinfo, machineToken])).map(outcome)).toEqual(Array(5).fill('200'));

    await allow(true);
    await until(ready, '200');
    expect((await ask([code, renewal, silent, interactive])).map(outcome)).toEqual([
      '200',
      '200',
      '303 code',
      '303',
    ]);
  });
});
