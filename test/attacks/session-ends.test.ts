import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import {
  endOtherSessions,
  endSession,
  listSessions,
  makeRoomForSession,
} from '#src/domain/sessions/sessions.ts';
import { changeUserStatus } from '#src/domain/users/life-cycle.ts';
import { call } from '#test/support/call.ts';
import { obtainCode, redeem, refresh } from '#test/support/code.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover, signIn } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { askSilently, openSignIn, sessionCookie } from '#test/support/session.ts';
import { makeUserAgent, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let insider: Insider;
let alice: string;

beforeAll(async () => {
  fixture = await createFixture();
  alice = fixture.acme.users.alice;
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  issuer = node.url;
  insider = await makeInsider(fixture);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const inAcme = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);

/** The rows of the table of docs/sessions.md: what happens, and for each thing whether it ends or lives. */
const document = readFileSync(new URL('../../docs/sessions.md', import.meta.url), 'utf8');
const documented = [...document.matchAll(/^\| ([^|]+) \|((?: (?:ends|lives) \|){5})$/gm)].map(
  ([, event, cells]) => [event!.trim(), cells!.match(/ends|lives/g)!] as const,
);

/** A token that does not end with the browser, which the person has agreed to. */
async function takeLasting(agent: UserAgent): Promise<string> {
  const config = await discover(issuer, 'acme-third');
  const { url, checks } = await authorize(config, { scope: 'openid offline_access', prompt: 'consent' });
  const consent = await agent.follow(await agent.get(url.href));
  const { location } = await agent.submit(consent, { decision: 'allow' });
  return (await client.authorizationCodeGrant(config, new URL(location!), checks)).refresh_token!;
}

/** A session with one of everything under it. */
async function signInWithAll() {
  const parameters = { scope: 'openid', resource: undefined };
  const { agent, tokens } = await completeFlow(issuer, 'acme-web', { parameters });
  const lasting = await takeLasting(agent);
  const code = await obtainCode(issuer, 'acme-web', { agent, parameters: { prompt: 'none' } });
  // As it is before anything happens in it.
  const browser = makeUserAgent(await agent.jar.clone());
  const probe = async () => {
    const headers = { authorization: `Bearer ${tokens.access_token}` };
    const alive = [
      (await askSilently(browser, issuer)) === 'code',
      (await redeem(issuer, code)).status === 200,
      (await call(`${issuer}/userinfo`, { headers })).status === 200,
      (await refresh(issuer, 'acme-web', tokens.refresh_token!)).status === 200,
      (await refresh(issuer, 'acme-third', lasting)).status === 200,
    ];
    return alive.map((one) => (one ? 'lives' : 'ends'));
  };
  return { agent, probe };
}

const age = async (agent: UserAgent, seconds: number) =>
  insider.age('Session', (await sessionCookie(agent, issuer))!, seconds);
const list = () => inAcme((tx) => listSessions(tx, alice, new Date()));

const events: Record<string, (agent: UserAgent) => Promise<unknown>> = {
  'the person signs out': async (agent) =>
    agent.submit(await agent.get(`${issuer}/logout?client_id=acme-web`), { logout: 'yes' }),
  'another person signs in in the same browser': async (agent) => {
    let page = await signIn(agent, await openSignIn(agent, issuer), 'bob@example.test');
    while (page.location === undefined) {
      page = await agent.submit(page);
    }
  },
  'it is idle too long': (agent) => age(agent, 31 * 60),
  'it reaches its absolute end': async (agent) => {
    for (let used = 0; used < 8 * 60; used += 25) {
      await age(agent, 25 * 60);
      await askSilently(agent, issuer);
    }
  },
  'it is ended in the list': async () => {
    const { id } = (await list())[0]!;
    await inAcme((tx) => endSession(tx, alice, id));
  },
  'the limit ends it': () => inAcme((tx) => makeRoomForSession(tx, alice, { limit: 1, now: new Date() })),
  'all others are ended': async () => {
    await completeFlow(issuer, 'acme-web');
    const { id } = (await list())[0]!;
    await inAcme((tx) => endOtherSessions(tx, alice, id));
  },
  'the user is disabled or compromised': async () => {
    await inAcme((tx) => changeUserStatus(tx, alice, 'compromised'));
    await inAcme((tx) => changeUserStatus(tx, alice, 'active'));
  },
};

describe('what ends what is as docs/sessions.md says [7.1.3]', () => {
  test('the document speaks of every event that is tried here, and of no other', () => {
    expect(documented.map(([event]) => event)).toEqual(Object.keys(events));
  });

  test('nothing ends by itself [control]', async () => {
    const { probe } = await signInWithAll();
    expect(await probe()).toEqual(['lives', 'lives', 'lives', 'lives', 'lives']);
  });

  test.each(documented)('%s', async (event, expected) => {
    await inAcme((tx) => tx.deleteFrom('sessions').execute());
    const { agent, probe } = await signInWithAll();
    await events[event]!(agent);
    expect(await probe()).toEqual(expected);
  });
});
