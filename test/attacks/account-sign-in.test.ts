import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { listSessions } from '#src/domain/sessions/sessions.ts';
import { expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { signIn } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let insider: Insider;
let issuer: string;
let list: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  insider = await makeInsider(fixture);
  issuer = node.url;
  list = `${issuer}/account/sessions`;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

async function openAccount(
  email?: string,
  agent = makeUserAgent(),
): Promise<{ agent: UserAgent; page: Page }> {
  const login = await agent.follow(await agent.get(`${list}?tenant=acme`));
  return { agent, page: await signIn(agent, login, email) };
}

async function expectRefused(status: number, work: () => Promise<Page>) {
  const answer = await expectUnchanged(fixture, work);
  expectSafe(answer);
  expect([answer.status, answer.location]).toEqual([status, undefined]);
}

/** Where the browser is sent to sign in, and what it is asked there. */
function askedToSignIn({ status, location }: Page) {
  const url = new URL(location!);
  const { client_id, prompt, tenant, login_hint } = Object.fromEntries(url.searchParams);
  return { status, path: url.pathname, client_id, prompt, tenant, login_hint };
}
const again = {
  status: 303,
  path: '/auth',
  client_id: 'tessera-account',
  prompt: 'login',
  tenant: 'acme',
  login_hint: 'alice@example.test',
};

/** Lets the session of the browser have been signed in to so many seconds earlier. */
async function age({ jar }: UserAgent, seconds: number) {
  const cookies = await jar.getCookies(issuer);
  const { value } = cookies.find(({ key }) => key === `session-${fixture.acme.tenant_id}`)!;
  await insider.age('Session', value, seconds);
}

const countSessions = () =>
  withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    const found = await listSessions(tx, fixture.acme.users.alice, new Date());
    return found.length;
  });

describe('a sign-in of more than fifteen minutes ago', () => {
  test('is asked for again before sessions are shown, once [ASVS 7.5.2, 7.5.3]', async () => {
    const { agent } = await openAccount();
    await age(agent, 14 * 60);
    expect((await agent.get(`${list}?tenant=acme`)).status).toBe(200);
    await age(agent, 2 * 60);
    const refused = await agent.get(`${list}?tenant=acme`);
    expectSafe(refused);
    expect(askedToSignIn(refused)).toEqual(again);
    expect(askedToSignIn(await agent.get(list))).toEqual(again);

    const login = await agent.follow(refused);
    expect(login.body).toContain('value="alice@example.test"');
    const page = await signIn(agent, login);
    expect([page.status, page.url]).toEqual([200, `${list}?tenant=acme`]);
  });

  test('ends nothing, though its form was opened in time [ASVS 7.5.3]', async () => {
    await openAccount();
    const { agent, page } = await openAccount();
    const before = await countSessions();
    await age(agent, 16 * 60);
    for (const { action, fields } of readForms(page.body).filter(({ fields }) => fields['csrf'])) {
      const answer = await agent.post(new URL(action, issuer).href, fields);
      expect(askedToSignIn(answer)).toEqual(again);
    }
    expect(await countSessions()).toBe(before);
  });

  test('of one person does not show the sessions of the other who signs in instead', async () => {
    const { agent } = await openAccount();
    await age(agent, 16 * 60);
    const login = await agent.follow(await agent.get(`${list}?tenant=acme`));
    const replaced = await signIn(agent, login, 'bob@example.test');
    // The library leads through the sign-out of the first one.
    const page = readForms(replaced.body)[0]?.action.includes('/logout')
      ? await agent.submit(replaced)
      : replaced;
    expect(page.status).toBe(200);
    expect(page.body).toContain('bob@example.test');
    expect(page.body).not.toContain('alice@example.test');
  });
});

describe('/account/signed-in', () => {
  test('goes on only in the browser that asked, and signs nobody in [A-153]', async () => {
    const victim = makeUserAgent();
    const attacker = await openAccount();
    const started = await attacker.agent.get(`${issuer}/account/sessions?tenant=globex`);
    const state = new URL(started.location!).searchParams.get('state')!;
    for (const agent of [victim, (await openAccount('bob@example.test')).agent]) {
      for (const query of [
        `state=${state}&code=x`,
        'code=x',
        `state=${state}&state=${state}`,
        'state=&code=x',
      ]) {
        await expectRefused(400, () => agent.get(`${issuer}/account/signed-in?${query}`));
      }
    }
    expect((await victim.get(`${list}?tenant=acme`)).status).toBe(303);
    const unknown = await attacker.agent.get(`${issuer}/account/signed-in?state=${state}&code=x`);
    expect(unknown.location).toBe(list);
  });

  test('says so when the sign-in was cancelled', async () => {
    const agent = makeUserAgent();
    const login = await agent.follow(await agent.get(`${list}?tenant=acme`));
    const page = await agent.submit(login, {}, 1);
    expectSafe(page);
    expect([page.status, page.body.includes('Access was not granted')]).toEqual([403, true]);
  });

  test('leaves a code behind that nobody can redeem', async () => {
    const agent = makeUserAgent();
    const login = await agent.follow(await agent.get(`${list}?tenant=acme`));
    const { action, fields } = readForms(login.body)[0]!;
    let page = await agent.post(new URL(action, issuer).href, {
      ...fields,
      email: 'alice@example.test',
      password,
    });
    while (page.location && !page.location.includes('/account/signed-in')) {
      page = await agent.get(page.location);
    }
    const code = new URL(page.location!).searchParams.get('code')!;
    const redeemed = await fetch(`${issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'tessera-account',
        redirect_uri: `${issuer}/account/signed-in`,
        code,
        code_verifier: 'a'.repeat(43),
      }),
    });
    expect([redeemed.status, ((await redeemed.json()) as { error: string }).error]).toEqual([
      400,
      'invalid_grant',
    ]);
  });
});
