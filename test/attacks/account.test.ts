import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { listSessions } from '#src/domain/sessions/sessions.ts';
import { changeUserStatus } from '#src/domain/users/life-cycle.ts';
import { comparable, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, type FixtureTenant, password } from '#test/support/fixture.ts';
import { signIn } from '#test/support/flow.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { type Form, makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let cluster: Cluster;
let issuer: string;
let list: string;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
  issuer = cluster.issuer;
  list = `${issuer}/account/sessions`;
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});
beforeEach(() =>
  Promise.all(
    [fixture.acme, fixture.globex].map(({ tenant_id }) =>
      withTenant(fixture.db, tenant_id, (tx) => tx.deleteFrom('sessions').execute()),
    ),
  ),
);

interface Device {
  agent: UserAgent;
  page: Page;
}

/** A browser in which somebody has signed in for the account page, with that page. */
async function openAccount({
  slug = 'acme',
  email = 'alice@example.test',
  agent = makeUserAgent(),
}: {
  slug?: string;
  email?: string;
  agent?: UserAgent;
} = {}): Promise<Device> {
  const login = await agent.follow(await agent.get(`${list}?tenant=${slug}`));
  const page = await signIn(agent, login, email);
  expect([page.status, new URL(page.url).pathname]).toEqual([200, '/account/sessions']);
  return { agent, page };
}

const reload = (agent: UserAgent, slug = 'acme') => agent.get(`${list}?tenant=${slug}`);
const sessionsOf = ({ tenant_id, users }: FixtureTenant, user: 'alice' | 'bob' = 'alice') =>
  withTenant(fixture.db, tenant_id, (tx) => listSessions(tx, users[user], new Date()));

function formOf({ body }: Page, path: RegExp, index = 0): Form {
  return readForms(body).filter(({ action }) => path.test(action))[index]!;
}
const end = /\/[\w-]{36}\/end\?/;
const others = /\/end-others\?/;
const naming = /\/label\?/;
const idIn = ({ action }: Form) => action.split('/')[3]!;
const post = ({ agent }: Device, { action, fields }: Form, more: Record<string, string> = {}, headers = {}) =>
  agent.post(new URL(action, issuer).href, { ...fields, ...more }, headers);

/** What a browser meets whose session is over: the way to sign in, and nothing of the page. */
function expectSignIn(page: Page, prompt: 'login' | null = null) {
  expectSafe(page);
  expect(page.status).toBe(303);
  const { pathname, searchParams } = new URL(page.location!);
  expect([pathname, searchParams.get('client_id'), searchParams.get('prompt')]).toEqual([
    '/auth',
    'tessera-account',
    prompt,
  ]);
  expect(page.body).not.toContain('alice@example.test');
}

async function expectRefused(status: number, work: () => Promise<Page>): Promise<Page> {
  const answer = await expectUnchanged(fixture, work);
  expectSafe(answer);
  expect([answer.status, answer.location]).toEqual([status, undefined]);
  return answer;
}

describe('the list of sessions', () => {
  test('shows the device, the time and the address of each, and nobody else’s [A-139, ASVS 7.5.2]', async () => {
    const { agent } = await openAccount();
    await openAccount();
    await openAccount({ email: 'bob@example.test' });
    await openAccount({ slug: 'globex' });
    const page = await reload(agent);
    expectSafe(page);
    expect(page.body.match(/<li class="device[ "]/g)).toHaveLength(2);
    expect(page.body.match(/This device</g)).toHaveLength(1);
    expect(page.body).toContain('127.0.0.1');
    expect(page.body).toMatch(/<time datetime="\d{4}-\d\d-\d\dT[\d:.]+Z">[^<]+ UTC<\/time>/);
    expect(page.body).toContain('Password');
    expect(page.body).not.toContain('bob@example.test');
  });

  test('is led to by /account, and offers the sign-out [ASVS 7.4.4]', async () => {
    const { agent } = await openAccount();
    const page = await agent.follow(await agent.get(`${issuer}/account?tenant=acme`));
    expect(new URL(page.url).pathname).toBe('/account/sessions');
    expect(page.body).toContain('href="/logout?tenant=acme"');
  });

  test('shows what a browser says of itself as text [A-018]', async () => {
    const hostile = '"><script>x()</script> Chrome/1.0 <b>';
    const agent = makeUserAgent();
    const spoofed: UserAgent = {
      ...agent,
      get: (url, headers = {}) => agent.get(url, { 'user-agent': hostile, ...headers }),
    };
    const login = await agent.follow(await agent.get(`${list}?tenant=acme`));
    const done = await agent.post(
      new URL(readForms(login.body)[0]!.action, issuer).href,
      { ...readForms(login.body)[0]!.fields, email: 'alice@example.test', password },
      { 'user-agent': hostile },
    );
    let page = done;
    while (page.location) {
      page = await spoofed.get(page.location);
    }
    expectSafe(page);
    expect(page.status).toBe(200);
    expect(page.body).not.toContain('x()');
    expect(page.body).toContain('Chrome');
  });

  test('asks for the workspace when the browser is signed in to several, and for none is it signed in for all', async () => {
    const { agent } = await openAccount();
    expect((await agent.get(list)).body).toContain('Where you are signed in');
    await openAccount({ slug: 'globex', agent });
    const choice = await agent.get(list);
    expectSafe(choice);
    expect(choice.body).toContain('Which workspace?');
    expect(choice.body).toContain('/account/sessions?tenant=globex');
    expect((await reload(agent, 'globex')).body).toContain('<strong><bdi>Globex</bdi></strong>');
  });

  test('finds the workspace of a person who brings none', async () => {
    const agent = makeUserAgent();
    const workspace = await agent.follow(await agent.get(`${issuer}/account`));
    expect(new URL(workspace.url).pathname).toBe('/workspace');
    const login = await agent.submit(workspace, { workspace: 'acme' });
    const page = await signIn(agent, login);
    expect(page.url).toBe(`${list}?tenant=acme`);
    expect(page.status).toBe(200);
  });
});

describe('ending a session', () => {
  test('signs the other device out on both nodes at once [A-139]', async () => {
    const here = await openAccount();
    const there = await openAccount();
    const page = await reload(here.agent);
    const gone = await here.agent.follow(await post(here, formOf(page, end)));
    expect(gone.status).toBe(200);
    expect(gone.body).toContain('The device is signed out.');
    expect(readForms(gone.body).filter(({ action }) => end.test(action))).toEqual([]);
    // The proxy asks the nodes in turn.
    for (let count = 0; count < 2; count++) {
      expectSignIn(await reload(there.agent));
      expect((await reload(here.agent)).status).toBe(200);
    }
    // Its open form is of no more use than its cookie.
    const [own] = readForms(there.page.body);
    expectSignIn(await expectUnchanged(fixture, () => post(there, own!)));
  });

  test('of all others keeps this one, and leaves other people and tenants alone', async () => {
    const here = await openAccount();
    const there = [await openAccount(), await openAccount()];
    const bob = await openAccount({ email: 'bob@example.test' });
    const foreign = await openAccount({ slug: 'globex' });
    const page = await reload(here.agent);
    const done = await here.agent.follow(await post(here, formOf(page, others)));
    expect(done.body).toContain('You are signed out everywhere else.');
    expect(done.body).toContain('You are signed in on this device only.');
    for (const { agent } of there) {
      expectSignIn(await reload(agent));
    }
    expect((await reload(bob.agent)).status).toBe(200);
    expect((await reload(foreign.agent, 'globex')).status).toBe(200);
  });

  test('is the same 404 for the id of another person, of another tenant, of nobody and for no id [A-139]', async () => {
    const here = await openAccount();
    const there = await openAccount();
    const bob = await openAccount({ email: 'bob@example.test' });
    await openAccount({ slug: 'globex' });
    const [[ofBob], [ofGlobex]] = await Promise.all([
      sessionsOf(fixture.acme, 'bob'),
      sessionsOf(fixture.globex),
    ]);
    const page = await reload(here.agent);
    for (const form of [formOf(page, end), formOf(page, naming)]) {
      const answers: unknown[] = [];
      for (const id of [crypto.randomUUID(), ofBob!.id, ofGlobex!.id, 'x', '..%2fend-others']) {
        const action = form.action.replace(idIn(form), id);
        answers.push(comparable(await expectRefused(404, () => post(here, { ...form, action }))));
      }
      expect(answers).toEqual(answers.map(() => answers[0]));
    }
    expect((await reload(bob.agent)).status).toBe(200);
    expect((await reload(there.agent)).status).toBe(200);
  });

  test('of the browser’s own goes to the sign-out, which asks', async () => {
    const here = await openAccount();
    const own = formOf(here.page, naming);
    const page = await here.agent.get(`${issuer}/logout?tenant=acme`);
    expect(page.body).toContain('Sign out of');
    expect((await reload(here.agent)).status).toBe(200);
    await here.agent.submit(page, { logout: 'yes' });
    expectSignIn(await reload(here.agent));
    // The page that stayed open does nothing any more.
    expectSignIn(await expectUnchanged(fixture, () => post(here, own, { label: 'Mine' })));
  });
});

describe('naming a device', () => {
  test('shows the name as text, cleaned, and forgets it when it is empty [A-018, A-140]', async () => {
    const here = await openAccount();
    const named = await here.agent.follow(
      await post(here, formOf(here.page, naming), { label: ' <b>Home</b>\u202e\u0007 ' }),
    );
    expect(named.body).toContain('The name is saved.');
    expect(named.body).toContain('&lt;b&gt;Home&lt;/b&gt;');
    expect((await sessionsOf(fixture.acme))[0]!.device_label).toBe('<b>Home</b>');
    await post(here, formOf(named, naming), { label: 'x'.repeat(5_000) });
    expect((await sessionsOf(fixture.acme))[0]!.device_label).toBe(`${'x'.repeat(59)}…`);
    await post(here, formOf(named, naming), { label: ' ' });
    expect((await sessionsOf(fixture.acme))[0]!.device_label).toBeNull();
  });
});

describe('a post that the page did not send', () => {
  test('is refused with 403 and changes nothing: no token, a wrong one, another form’s, another session’s [A-132]', async () => {
    const here = await openAccount();
    await openAccount();
    const there = await openAccount();
    const page = await reload(here.agent);
    const forms = [formOf(page, end), formOf(page, others), formOf(page, naming)];
    const foreign = await reload(there.agent);
    const tokens = ['', 'x', ...[end, others, naming].map((path) => formOf(foreign, path).fields['csrf']!)];
    for (const form of forms) {
      for (const csrf of [
        ...tokens,
        ...forms.filter((other) => other !== form).map(({ fields }) => fields['csrf']!),
      ]) {
        await expectRefused(403, () => post(here, form, { csrf }));
      }
      await expectRefused(403, () => post(here, form, {}, { 'sec-fetch-site': 'cross-site' }));
      await expectRefused(403, () => post(here, { ...form, fields: {} }));
    }
    expect(await sessionsOf(fixture.acme)).toHaveLength(3);
  });

  test('is refused as JSON, as text, as multipart and by another method [A-133]', async () => {
    const here = await openAccount();
    await openAccount();
    const form = formOf(await reload(here.agent), others);
    const url = new URL(form.action, issuer).href;
    const csrf = form.fields['csrf']!;
    const sent: [string, string][] = [
      ['application/json', JSON.stringify({ csrf })],
      ['text/plain', JSON.stringify({ csrf })],
      ['text/plain', `csrf=${csrf}`],
      [
        'multipart/form-data; boundary=x',
        `--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n${csrf}\r\n--x--`,
      ],
      ['', `csrf=${csrf}`],
    ];
    for (const [type, body] of sent) {
      await expectRefused(403, () => here.agent.post(url, body, { 'content-type': type }));
    }
    const overrides = { 'x-http-method-override': 'POST', 'x-method-override': 'POST' };
    await expectRefused(404, () => here.agent.get(`${url}&csrf=${csrf}`, overrides));
    await expectRefused(404, () => here.agent.get(`${url}&csrf=${csrf}&_method=POST`));
    await expectRefused(404, () => here.agent.get(new URL(formOf(here.page, naming).action, issuer).href));
    const cookie = await here.agent.jar.getCookieString(url);
    for (const method of ['HEAD', 'PUT', 'DELETE', 'PATCH']) {
      await expectUnchanged(fixture, () =>
        fetch(url, {
          method,
          headers: { cookie },
          redirect: 'manual',
          ...(method === 'HEAD' ? {} : { body: `csrf=${csrf}` }),
        }),
      );
    }
    expect(await sessionsOf(fixture.acme)).toHaveLength(2);
  });

  test('has no way round the browser’s own rule for cookies: it comes without and meets the sign-in [A-132]', async () => {
    const here = await openAccount();
    const form = formOf(here.page, naming);
    const stranger = makeUserAgent();
    expectSignIn(await expectUnchanged(fixture, () => post({ ...here, agent: stranger }, form)));
  });
});

describe('looking at the list', () => {
  test('changes nothing, whatever the address says [A-133]', async () => {
    const here = await openAccount();
    await openAccount();
    for (const more of ['', '&ended=others', '&ended=x', '&named=x', '&ended=a&ended=b']) {
      const page = await expectUnchanged(fixture, () => here.agent.get(`${list}?tenant=acme${more}`));
      expectSafe(page);
      expect(page.status).toBe(200);
      expect(page.body).not.toContain('signed out everywhere else');
      expect(page.body).not.toContain('name is saved');
    }
  });

  test('needs a sign-in of a user who is still active', async () => {
    const here = await openAccount({ email: 'bob@example.test' });
    const { tenant_id, users } = fixture.acme;
    const mark = (status: 'active' | 'disabled') =>
      withTenant(fixture.db, tenant_id, (tx) => changeUserStatus(tx, users.bob, status));
    await mark('disabled');
    const refused = await reload(here.agent);
    await mark('active');
    expect(refused.status).toBe(303);
    expect(new URL(refused.location!).pathname).toBe('/auth');
    // What ended with the user’s status does not come back with it.
    expect((await reload(here.agent)).status).toBe(303);
  });
});
