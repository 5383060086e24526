import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { CookieJar } from 'tough-cookie';
import { withTenant } from '#src/database/tenant.ts';
import { endSession, listSessions } from '#src/domain/sessions/sessions.ts';
import { updateTenant } from '#src/domain/tenants/tenants.ts';
import { createFixture, type Fixture, password, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover } from '#test/support/flow.ts';
import { type Answer, basic, cookiesOf, keepCookies, outcome, race, tally } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { askSilently, openSignIn, sessionCookie } from '#test/support/session.ts';
import { makeUserAgent, readForms, type UserAgent } from '#test/support/user-agent.ts';

const limit = 3;

let fixture: Fixture;
let cluster: Cluster;
let issuer: string;
let alice: string;

beforeAll(async () => {
  fixture = await createFixture();
  alice = fixture.acme.users.alice;
  await inAcme((tx) => updateTenant(tx, { settings: { session: { limit } } }));
  cluster = await startCluster(fixture);
  issuer = cluster.issuer;
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

beforeEach(() => forgetAll());

const forgetAll = () =>
  inAcme(async (tx) => {
    await tx.deleteFrom('sessions').execute();
    await tx.deleteFrom('protocol_store').execute();
  });

const inAcme = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);
const list = () => inAcme((tx) => listSessions(tx, alice, new Date()));
const pathOf = (url: string) => url.slice(issuer.length);

/** Signs in as far as the way back to the request, and gives that, to be visited. */
async function signInUpTo(agent: UserAgent, parameters: Record<string, string> = {}): Promise<string> {
  const page = await openSignIn(agent, issuer, 'acme-web', parameters);
  const { action, fields } = readForms(page.body)[0]!;
  const typed = { ...fields, email: 'alice@example.test', password };
  return (await agent.post(new URL(action, page.url).href, typed)).location!;
}

const visit = async (agent: UserAgent, url: string) => ({
  path: pathOf(url),
  headers: await cookiesOf(agent, url),
});

describe('tabs that finish a sign-in at once, over two nodes [M-4]', () => {
  test.each([2, 4])('%i of them all get their code, one session and one cookie that works', async (tabs) => {
    const { agent } = await completeFlow(issuer, 'acme-web');
    for (let round = 0; round < 50; round++) {
      const before = await sessionCookie(agent, issuer);
      const [{ id }] = (await list()) as [{ id: string }, ...unknown[]];
      const resumes: string[] = [];
      for (let tab = 0; tab < tabs; tab++) {
        resumes.push(await signInUpTo(agent, { prompt: 'login' }));
      }
      const answers = await race(cluster, await Promise.all(resumes.map((url) => visit(agent, url))));
      expect(tally(answers, outcome)).toEqual({ '303 code': tabs });
      expect((await list()).map((session) => session.id)).toEqual([id]);

      const old = makeUserAgent(await CookieJar.deserialize((await agent.jar.serialize())!));
      const last = answers[round % tabs]!;
      await keepCookies(agent, issuer, [...answers.filter((one) => one !== last), last]);
      expect(await sessionCookie(agent, issuer)).not.toBe(before);
      expect(await askSilently(agent, issuer)).toBe('code');
      expect(await askSilently(old, issuer)).toBe('login_required');
    }
  });

  test('and none of them brings a session back that is ended at the same moment', async () => {
    for (let round = 0; round < 20; round++) {
      await forgetAll();
      const { agent } = await completeFlow(issuer, 'acme-web');
      const { id } = (await list())[0]!;
      const resumes = [
        await signInUpTo(agent, { prompt: 'login' }),
        await signInUpTo(agent, { prompt: 'login' }),
      ];
      const { url } = await authorize(await discover(issuer, 'acme-web'), { prompt: 'none' });
      const requests = await Promise.all([...resumes, url.href].map((one) => visit(agent, one)));
      const [answers] = await Promise.all([
        race(cluster, requests),
        inAcme((tx) => endSession(tx, alice, id)),
      ]);
      expect(answers.map(({ status }) => status).filter((status) => status >= 500)).toEqual([]);
      expect((await list()).map((session) => session.id)).not.toContain(id);
      await expectNothingLeft(answers);
    }
  });
});

const credentials = basic('acme-web', secretOf('acme-web'));
const redeem = (form: Record<string, string>, headers = credentials) =>
  fetch(`${issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(form) });

/** No code, opaque access token or refresh token of alice is in the database. */
async function expectNothingLeft(answers: Answer[] = []) {
  const rows = await inAcme((tx) =>
    tx.selectFrom('protocol_store').select('model').where('session_key', 'is not', null).execute(),
  );
  expect({ rows, answers: answers.map(outcome) }).toEqual({ rows: [], answers: answers.map(outcome) });
}

async function silentCode(agent: UserAgent, config: client.Configuration): Promise<Record<string, string>> {
  const { url, checks } = await authorize(config, { prompt: 'none', scope: 'openid', resource: undefined });
  const { location } = await agent.get(url.href);
  return {
    grant_type: 'authorization_code',
    code: new URL(location!).searchParams.get('code')!,
    redirect_uri,
    code_verifier: checks.pkceCodeVerifier,
  };
}

/** A refresh token with offline_access, which the person has agreed to. */
async function lastingToken(agent: UserAgent, third: client.Configuration): Promise<string> {
  const { url, checks } = await authorize(third, { scope: 'openid offline_access', prompt: 'consent' });
  const consent = await agent.follow(await agent.get(url.href));
  const { location } = await agent.submit(consent, { decision: 'allow' });
  return (await client.authorizationCodeGrant(third, new URL(location!), checks)).refresh_token!;
}

test('once a session is ended no token of it lives, though it is redeemed and refreshed at that moment [G-13]', async () => {
  const third = await discover(issuer, 'acme-third');
  let won = 0;
  for (let round = 0; round < 30; round++) {
    await forgetAll();
    const { agent, config } = await completeFlow(issuer, 'acme-web');
    const { id } = (await list())[0]!;
    const lasting = await lastingToken(agent, third);
    const forms: Record<string, string>[] = [];
    for (let index = 0; index < 4; index++) {
      const code = await silentCode(agent, config);
      const { refresh_token } = (await (await redeem(await silentCode(agent, config))).json()) as {
        refresh_token: string;
      };
      forms.push(code, { grant_type: 'refresh_token', refresh_token });
    }
    const first = forms.pop()!;
    const requests = [
      ...forms.map((form) => ({ path: '/token', headers: credentials, form })),
      {
        path: '/token',
        headers: basic('acme-third', secretOf('acme-third')),
        form: { grant_type: 'refresh_token', refresh_token: lasting },
      },
    ];
    const end = () => inAcme((tx) => endSession(tx, alice, id));
    // In one half of the rounds the end comes when an answer is there already.
    const [answers, ended] = await Promise.all([
      race(cluster, requests),
      round % 2 ? end() : redeem(first).then(end),
    ]);
    expect(ended).toBe(true);
    const { 200: alive = 0, ...lost } = tally(answers, outcome);
    expect(lost).toEqual(alive === requests.length ? {} : { '400 invalid_grant': requests.length - alive });
    await expectNothingLeft(answers);
    won += alive;
    for (const { json } of answers.filter(({ status }) => status === 200)) {
      const { access_token, refresh_token } = json as Record<string, string>;
      const userinfo = await fetch(`${issuer}/userinfo`, {
        headers: { authorization: `Bearer ${access_token}` },
      });
      expect(userinfo.status).toBe(401);
      expect((await redeem({ grant_type: 'refresh_token', refresh_token: refresh_token! })).status).toBe(400);
    }
  }
  expect(won).toBeGreaterThan(0);
});

test('of 20 sign-ins of a user at once as many sessions stay as the tenant allows, with their codes [7.1.2]', async () => {
  for (let round = 0; round < 5; round++) {
    await forgetAll();
    const agents = Array.from({ length: 20 }, () => makeUserAgent());
    const requests = [];
    for (const agent of agents) {
      requests.push(await visit(agent, await signInUpTo(agent)));
    }
    const answers = await race(cluster, requests);
    expect(tally(answers, outcome)).toEqual({ '303 code': 20 });
    expect(await list()).toHaveLength(limit);
    await Promise.all(agents.map((agent, index) => keepCookies(agent, issuer, [answers[index]!])));
    const asked = await Promise.all(agents.map((agent) => askSilently(agent, issuer)));
    expect(asked.filter((answer) => answer === 'code')).toHaveLength(limit);
    const left = await inAcme((tx) =>
      tx
        .selectFrom('protocol_store')
        .select('session_key')
        .distinct()
        .where('model', '=', 'AuthorizationCode')
        .where('user_id', '=', alice)
        .execute(),
    );
    expect(left).toHaveLength(limit);
  }
});
