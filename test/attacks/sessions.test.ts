import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { CookieJar } from 'tough-cookie';
import { withTenant } from '#src/database/tenant.ts';
import { listSessions } from '#src/domain/sessions/sessions.ts';
import { updateTenant } from '#src/domain/tenants/tenants.ts';
import { call } from '#test/support/call.ts';
import { obtainCode, redeem, refresh } from '#test/support/code.ts';
import { eventually } from '#test/support/eventually.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover, signIn } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { askSilently, openSignIn, sessionCookie } from '#test/support/session.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

const minute = 60;

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

const inAcme = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);
const list = (user_id: string) => inAcme((tx) => listSessions(tx, user_id, new Date()));
const forgetSessions = () => inAcme((tx) => tx.deleteFrom('sessions').execute());
const signedIn = (parameters = {}, email?: string) =>
  completeFlow(issuer, 'acme-web', {
    parameters: { scope: 'openid', resource: undefined, ...parameters },
    ...(email ? { email } : {}),
  });
const age = async (agent: UserAgent, seconds: number) =>
  insider.age('Session', (await sessionCookie(agent, issuer))!, seconds);
/** Types the password and gives the address that goes on, which nobody visits yet. */
async function postSignIn(agent: UserAgent, page: Page, email: string): Promise<string> {
  const { action, fields } = readForms(page.body)[0]!;
  const { location } = await agent.post(new URL(action, page.url).href, { ...fields, email, password });
  return location!;
}
/** A browser with the cookies that this one has now. */
const copyOf = async ({ jar }: UserAgent) =>
  makeUserAgent(await CookieJar.deserialize((await jar.serialize())!));

describe('the identifier of a session [A-125, 7.2.4, N-23]', () => {
  test('is another one after a sign-in in the session, and the former one is dead', async () => {
    const { agent } = await signedIn();
    const before = await copyOf(agent);
    const old = await sessionCookie(agent, issuer);
    await signIn(agent, await openSignIn(agent, issuer));
    const renewed = await sessionCookie(agent, issuer);
    expect(renewed).not.toBe(old);
    expect(await sessionCookie(before, issuer)).toBe(old);
    expect(await askSilently(before, issuer)).toBe('login_required');
    expect(await askSilently(agent, issuer)).toBe('code');
    expect(await insider.find('Session', old!)).toBeUndefined();
  });

  test('is not what was planted before: forged, of an old session, or of somebody else’s old one', async () => {
    const { agent: bob } = await signedIn({}, 'bob@example.test');
    const oldOfBob = await copyOf(bob);
    await signIn(bob, await openSignIn(bob, issuer), 'bob@example.test');
    const planted = await sessionCookie(oldOfBob, issuer);
    await signIn(oldOfBob, await openSignIn(oldOfBob, issuer, 'acme-web', {}));
    expect(await sessionCookie(oldOfBob, issuer)).not.toBe(planted);
    expect(await askSilently(oldOfBob, issuer)).toBe('code');
    expect(await askSilently(bob, issuer)).toBe('code');

    const forged = makeUserAgent();
    const name = `session-${fixture.acme.tenant_id}`;
    await forged.jar.setCookie(`${name}=${'a'.repeat(43)}; path=/`, issuer);
    await forged.jar.setCookie(`${name}.sig=${'a'.repeat(43)}; path=/`, issuer);
    await signIn(forged, await openSignIn(forged, issuer, 'acme-web', {}));
    expect(await sessionCookie(forged, issuer)).not.toBe('a'.repeat(43));
    expect(await askSilently(forged, issuer)).toBe('code');
  });

  test('keeps the session its place in the list, with what is known of the device', async () => {
    await forgetSessions();
    const { agent } = await signedIn();
    const [before] = await list(fixture.acme.users.alice);
    expect(before).toMatchObject({
      ip: '127.0.0.1',
      amr: ['pwd'],
      acr: 'urn:tessera:aal1',
      device_label: null,
    });
    const headers = { 'user-agent': 'x'.repeat(2_000) };
    const { url } = await authorize(await discover(issuer, 'acme-web'), { prompt: 'none' });
    await agent.get(url.href, headers);
    await signIn(agent, await openSignIn(agent, issuer));
    const { url: again } = await authorize(await discover(issuer, 'acme-web'), { prompt: 'none' });
    await agent.get(again.href, headers);
    const after = await list(fixture.acme.users.alice);
    expect(after).toMatchObject([
      { id: before!.id, created_at: before!.created_at, user_agent: 'x'.repeat(500) },
    ]);
    expect(after[0]!.last_activity_at.getTime()).toBeGreaterThan(before!.last_activity_at.getTime());
  });

  test('of an old session is dead though a sign-in of the same user waits: only the browser that began it goes on', async () => {
    const { agent: victim } = await signedIn();
    const stolen = await copyOf(victim);
    const waiting = await postSignIn(victim, await openSignIn(victim, issuer), 'alice@example.test');
    // Meanwhile the session is renewed in another tab.
    await signIn(victim, await openSignIn(victim, issuer));
    const renewed = await sessionCookie(victim, issuer);

    const thief = makeUserAgent(stolen.jar);
    const own = await postSignIn(thief, await openSignIn(thief, issuer), 'bob@example.test');
    const resume = async (cookie: string) => {
      const answer = await call(waiting, { headers: { cookie, accept: 'text/html' } });
      expectSafe(answer);
      expect(answer.headers.getSetCookie().join()).not.toContain(renewed);
      return answer;
    };
    expect((await resume(await stolen.jar.getCookieString(waiting))).status).toBe(400);
    // Its own cookie goes on with its own sign-in.
    const before = await list(fixture.acme.users.alice);
    expect((await resume(await thief.jar.getCookieString(own))).headers.get('location')).toContain('code=');
    expect(await list(fixture.acme.users.alice)).toEqual(before);
    expect(await askSilently(stolen, issuer)).toBe('login_required');
    expect(await sessionCookie(victim, issuer)).toBe(renewed);
    expect(await askSilently(victim, issuer)).toBe('code');
  });
});

describe('a session ends', () => {
  test('when it was not used for 30 minutes, with what is bound to it [A-127, 7.3.1]', async () => {
    const { agent, tokens } = await signedIn();
    await age(agent, 29 * minute);
    expect(await askSilently(agent, issuer)).toBe('code');
    await age(agent, 30 * minute);
    await expectUnchanged(fixture, async () => {
      expectRefusal(await refresh(issuer, 'acme-web', tokens.refresh_token!), {
        status: 400,
        error: 'invalid_grant',
      });
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      expectRefusal(await call(`${issuer}/userinfo`, { headers }), { status: 401, error: 'invalid_token' });
    });
    expect(await askSilently(agent, issuer)).toBe('login_required');
  });

  test('8 hours after the sign-in, though it is polled all the time [A-128, M-5, 7.3.2]', async () => {
    const { agent } = await signedIn();
    let polls = 0;
    for (; polls < 150; polls += 1) {
      await age(agent, 10 * minute);
      if ((await askSilently(agent, issuer)) !== 'code') {
        break;
      }
    }
    expect(polls).toBe(47);
  });

  test('and a new sign-in begins both times anew [N-27]', async () => {
    const { agent } = await signedIn();
    for (let hours = 0; hours < 7.5; hours += 0.25) {
      await age(agent, 15 * minute);
      expect(await askSilently(agent, issuer)).toBe('code');
    }
    await signIn(agent, await openSignIn(agent, issuer));
    for (const _ of [1, 2, 3, 4]) {
      await age(agent, 20 * minute);
      expect(await askSilently(agent, issuer)).toBe('code');
    }
  });

  test('by either end of its row, whatever is sealed in it', async () => {
    for (const end of ['expires_at', 'ends_at'] as const) {
      await forgetSessions();
      const { agent, tokens } = await signedIn();
      expect(await askSilently(agent, issuer)).toBe('code');
      await inAcme((tx) =>
        tx
          .updateTable('sessions')
          .set({ [end]: new Date() })
          .execute(),
      );
      expectRefusal(await refresh(issuer, 'acme-web', tokens.refresh_token!), {
        status: 400,
        error: 'invalid_grant',
      });
      expect(await askSilently(agent, issuer)).toBe('login_required');
    }
  });

  test('at its next use, when its tenant has shortened its settings', async () => {
    const [idle, old, fresh] = [await signedIn(), await signedIn(), await signedIn()];
    await age(idle.agent, 6 * minute);
    await age(old.agent, 10 * minute);
    await inAcme((tx) =>
      tx
        .updateTable('sessions')
        .set({ last_activity_at: new Date() })
        .where('authenticated_at', '<', new Date(Date.now() - 9 * minute * 1000))
        .execute(),
    );
    await inAcme((tx) => updateTenant(tx, { settings: { session: { idle: 'PT5M', absolute: 'PT10M' } } }));
    await eventually(
      async () => (await askSilently(await copyOf(old.agent), issuer)) === 'login_required' || undefined,
    );
    for (const { agent, tokens } of [idle, old]) {
      expectRefusal(await refresh(issuer, 'acme-web', tokens.refresh_token!), {
        status: 400,
        error: 'invalid_grant',
      });
      expect(await askSilently(agent, issuer)).toBe('login_required');
    }
    expect(await askSilently(fresh.agent, issuer)).toBe('code');
    await inAcme((tx) => updateTenant(tx, { settings: {} }));
    await eventually(async () => {
      const { agent } = await signedIn();
      await age(agent, 20 * minute);
      return (await askSilently(agent, issuer)) === 'code' || undefined;
    });
  });
});

test('after a sign-out nothing of it can be used again [A-130, 7.4.1]', async () => {
  const { agent, tokens } = await signedIn();
  const waiting = await openSignIn(agent, issuer);
  const code = await obtainCode(issuer, 'acme-web', { agent, parameters: { prompt: 'none' } });
  const kept = await copyOf(agent);
  const page = await agent.get(`${issuer}/logout?client_id=acme-web`);
  const confirmation = await copyOf(agent);
  await agent.submit(page, { logout: 'yes' });

  await expectUnchanged(fixture, async () => {
    expect(await askSilently(kept, issuer)).toBe('login_required');
    const form = readForms(waiting.body)[0]!;
    const login = await kept.post(new URL(form.action, waiting.url).href, {
      ...form.fields,
      email: 'alice@example.test',
      password,
    });
    expectSafe(login);
    expect(login.status).toBe(400);
    expect((await kept.get(waiting.url)).status).toBe(400);
    const again = await confirmation.submit(page, { logout: 'yes' });
    expectSafe(again);
    expect(again.status).toBe(400);
    expectRefusal(await redeem(issuer, code), { status: 400, error: 'invalid_grant' });
    expectRefusal(await refresh(issuer, 'acme-web', tokens.refresh_token!), {
      status: 400,
      error: 'invalid_grant',
    });
  });
});

describe('in a browser that two people use [A-137, C-06]', () => {
  test('the second gets nothing of the first, whose session is over', async () => {
    await forgetSessions();
    const { agent, tokens } = await signedIn();
    const first = await copyOf(agent);
    const before = await inAcme((tx) => tx.selectFrom('sessions').selectAll().executeTakeFirstOrThrow());
    let page = await signIn(agent, await openSignIn(agent, issuer), 'bob@example.test');
    while (page.location === undefined) {
      page = await agent.submit(page);
    }
    expect(page.location).toContain('code=');
    const second = await obtainCode(issuer, 'acme-web', { agent, parameters: { prompt: 'none' } });
    const of = JSON.parse((await redeem(issuer, second)).body);
    const { sub } = await client.fetchUserInfo(
      await discover(issuer, 'acme-web'),
      of.access_token,
      client.skipSubjectCheck,
    );
    expect(sub).toBe(fixture.acme.users.bob);
    const [after] = await inAcme((tx) => tx.selectFrom('sessions').selectAll().execute());
    expect(after!.user_id).toBe(fixture.acme.users.bob);
    expect(after!.id).not.toBe(before.id);
    expect(after!.uid_key).not.toEqual(before.uid_key);
    expect(await list(fixture.acme.users.alice)).toEqual([]);
    expect(await askSilently(first, issuer)).toBe('login_required');
    expectRefusal(await refresh(issuer, 'acme-web', tokens.refresh_token!), {
      status: 400,
      error: 'invalid_grant',
    });
  });
});

test('one sign-in more than a user may have ends the session that was not used for longest [7.1.2]', async () => {
  await forgetSessions();
  await inAcme((tx) => updateTenant(tx, { settings: { session: { limit: 2 } } }));
  const first = await signedIn();
  const second = await signedIn();
  expect(await askSilently(first.agent, issuer)).toBe('code');
  await eventually(async () => {
    await signedIn();
    return (await list(fixture.acme.users.alice)).length === 2 || undefined;
  });
  expect(await askSilently(second.agent, issuer)).toBe('login_required');
  expectRefusal(await refresh(issuer, 'acme-web', second.tokens.refresh_token!), {
    status: 400,
    error: 'invalid_grant',
  });
  await signedIn({}, 'bob@example.test');
  expect(await list(fixture.acme.users.alice)).toHaveLength(2);
  await inAcme((tx) => updateTenant(tx, { settings: {} }));
});
