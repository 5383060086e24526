import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { call } from '#test/support/call.ts';
import { obtainCode, redeem } from '#test/support/code.ts';
import { expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover, signIn } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { type Form, makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

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

interface Started {
  agent: UserAgent;
  /** The sign-in page. */
  page: Page;
  uid: string;
  form: Form;
}

const uidOf = (url: string) => url.slice(url.lastIndexOf('/') + 1);

async function start(
  client_id = 'acme-web',
  parameters: Record<string, string | undefined> = {},
  agent = makeUserAgent(),
): Promise<Started> {
  const { url } = await authorize(await discover(issuer, client_id), parameters);
  const page = await agent.follow(await agent.get(url.href));
  expect(page.url).toContain('/login/');
  return { agent, page, uid: uidOf(page.url), form: readForms(page.body)[0]! };
}

const credentials = { email: 'alice@example.test', password };
const postLogin = ({ agent, uid, form }: Started, fields: Record<string, string> = credentials) =>
  agent.post(`${issuer}/login/${uid}`, { ...form.fields, ...fields });

/** All cookies of a browser whatever their path, of one name the newest, as an attacker would send them. */
async function allCookies({ jar }: UserAgent): Promise<string> {
  const { cookies } = (await jar.serialize())!;
  const newest = new Map(cookies.map(({ key, value }) => [key, value]));
  return [...newest].map(([key, value]) => `${key}=${value}`).join('; ');
}

const postForm = (path: string, cookie: string, form: Record<string, string>) =>
  call(issuer + path, { form, headers: { cookie, accept: 'text/html' } });

function expectOver(page: { status: number; headers: Headers; body: string }, status = 400) {
  expectSafe(page);
  expect(page.status).toBe(status);
  expect(page.headers.get('location')).toBeNull();
  expect(page.body).not.toContain('code=');
}

async function countOf(model: string): Promise<number> {
  const [row] = await runStatements(fixture.urls.superUrl, [
    `select count(*)::int as n from protocol_store where model = '${model}'`,
  ]);
  return row!['n'] as number;
}

describe('the order of a sign-in', () => {
  test('lets nobody consent before the sign-in [A-037]', async () => {
    const started = await start('acme-third');
    const cookie = await allCookies(started.agent);
    const consent = { ...started.form.fields, decision: 'allow' };
    expectOver(await expectUnchanged(fixture, () => postForm(`/consent/${started.uid}`, cookie, consent)));
    expectOver(await call(`${issuer}/consent/${started.uid}`, { headers: { cookie, accept: 'text/html' } }));
  });

  test('lets nobody sign in again where consent is asked for [A-037]', async () => {
    const started = await start('acme-third');
    const consent = await signIn(started.agent, started.page);
    const uid = uidOf(consent.url);
    const cookie = await allCookies(started.agent);
    const { fields } = readForms(consent.body)[0]!;
    for (const path of [`/login/${uid}`, `/login/${started.uid}`, `/login/${uid}/cancel`]) {
      expectOver(await expectUnchanged(fixture, () => postForm(path, cookie, { ...fields, ...credentials })));
    }
    const back = await started.agent.submit(consent, { decision: 'allow' });
    expect(back.location).toContain('code=');
  });

  test('gives no code to who goes back before it is finished [A-037]', async () => {
    const { agent, uid } = await start();
    const before = await countOf('AuthorizationCode');
    const page = await agent.get(`${issuer}/auth/${uid}`);
    expectSafe(page);
    expect(page.location).toMatch(new RegExp(`^${issuer}/login/`));
    expect(uidOf(page.location!)).not.toBe(uid);
    expect(await countOf('AuthorizationCode')).toBe(before);
    expectOver(await agent.get(`${issuer}/login/${uid}`));
  });

  test('gives one code, though the form is sent twice and the way back is taken twice [A-037]', async () => {
    const started = await start();
    const before = await countOf('AuthorizationCode');
    const [first, second] = [await postLogin(started), await postLogin(started)];
    expect([first.status, second.status]).toEqual([303, 303]);
    expect(second.location).toBe(first.location);
    const resume = first.location!;
    const cookie = await allCookies(started.agent);

    const done = await started.agent.follow(await started.agent.get(resume));
    expect(done.location).toContain('code=');
    expectOver(await started.agent.get(resume));
    expectOver(await call(resume, { headers: { cookie, accept: 'text/html' } }));
    expect(await countOf('AuthorizationCode')).toBe(before + 1);
  });

  test('is over after it: neither its page nor its form comes to life again [A-037]', async () => {
    const started = await start();
    const cookie = await allCookies(started.agent);
    const done = await signIn(started.agent, started.page);
    expect(done.location).toContain('code=');
    await expectUnchanged(fixture, async () => {
      expectOver(await call(started.page.url, { headers: { cookie, accept: 'text/html' } }));
      expectOver(await postForm(`/login/${started.uid}`, cookie, { ...started.form.fields, ...credentials }));
      expectOver(await postForm(`/login/${started.uid}/cancel`, cookie, started.form.fields));
    });
  });

  test('gives one code and one grant for two consents at once [A-037]', async () => {
    const started = await start('acme-third');
    const consent = await signIn(started.agent, started.page);
    const grants = await countOf('Grant');
    const cookie = await allCookies(started.agent);
    const form = { ...readForms(consent.body)[0]!.fields, decision: 'allow' };
    const path = `/consent/${uidOf(consent.url)}`;
    const answers = await Promise.all([1, 2, 3].map(() => postForm(path, cookie, form)));
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303]);
    const resumes = await Promise.all(
      answers.map(({ headers }) =>
        call(headers.get('location')!, { headers: { cookie, accept: 'text/html' } }),
      ),
    );
    resumes.forEach(expectSafe);
    expect(resumes.filter(({ headers }) => headers.get('location')?.includes('code='))).toHaveLength(1);
    expect(await countOf('Grant')).toBe(grants + 1);
  });

  test('leaves no grant behind when consent is denied [A-037]', async () => {
    const started = await start('acme-third');
    const consent = await signIn(started.agent, started.page);
    const grants = await countOf('Grant');
    const back = await started.agent.submit(consent, { decision: 'deny' });
    expect(new URL(back.location!).searchParams.get('error')).toBe('access_denied');
    expect(await countOf('Grant')).toBe(grants);
  });

  test('takes no other decision than the two, and no scope that was not asked for [A-037]', async () => {
    const started = await start('acme-third', { scope: 'openid', resource: undefined });
    const consent = await signIn(started.agent, started.page);
    const { action, fields } = readForms(consent.body)[0]!;
    for (const decision of ['', 'ALLOW', 'true', 'allow,allow']) {
      const page = await started.agent.post(issuer + action, { ...fields, decision });
      expectOver(page);
    }
    const pairs = [...Object.entries(fields), ['decision', 'deny'], ['decision', 'allow']] as [
      string,
      string,
    ][];
    expectOver(await started.agent.post(issuer + action, new URLSearchParams(pairs)));
    const more = { decision: 'allow', scope: 'openid email read', missingOIDCScope: 'email', grantId: 'x' };
    const back = await started.agent.submit(consent, more);
    expect(back.location).toContain('code=');
  });
});

describe('a form', () => {
  test('that did not come from this page of this sign-in is refused [CSRF, A-037]', async () => {
    const [started, other] = [await start(), await start()];
    const cookie = await allCookies(started.agent);
    const tokens = ['', 'x', other.form.fields['csrf']!, `${started.form.fields['csrf']}x`];
    await expectUnchanged(fixture, async () => {
      for (const csrf of tokens) {
        expectOver(await postForm(`/login/${started.uid}`, cookie, { ...credentials, csrf }), 403);
        expectOver(await postForm(`/login/${started.uid}/cancel`, cookie, { csrf }), 403);
      }
      expectOver(await postForm(`/login/${started.uid}`, cookie, credentials), 403);
      const crossSite = await call(`${issuer}/login/${started.uid}`, {
        form: { ...started.form.fields, ...credentials },
        headers: { cookie, accept: 'text/html', 'sec-fetch-site': 'cross-site' },
      });
      expectOver(crossSite, 403);
      const json = await call(`${issuer}/login/${started.uid}`, {
        body: JSON.stringify({ ...started.form.fields, ...credentials }),
        headers: { cookie, accept: 'text/html', 'content-type': 'application/json' },
      });
      expectOver(json, 403);
    });
  });

  test('with a field twice, nested or named like part of an object is refused [A-037]', async () => {
    const started = await start();
    const cookie = await allCookies(started.agent);
    const csrf = started.form.fields['csrf']!;
    const forms: [string, string][][] = [
      [
        ['csrf', csrf],
        ['csrf', csrf],
        ['email', credentials.email],
        ['password', password],
      ],
      [
        ['csrf', csrf],
        ['email[]', credentials.email],
        ['password', password],
      ],
      [
        ['csrf', csrf],
        ['email', credentials.email],
        ['password[$ne]', ''],
      ],
      [
        ['csrf', csrf],
        ['email', credentials.email],
        ['password', password],
        ['password', 'x'],
      ],
      [
        ['__proto__[csrf]', csrf],
        ['email', credentials.email],
        ['password', password],
      ],
      [
        ['csrf', csrf],
        ['email', 'alice@example.test\u0000'],
        ['password', password],
      ],
      [
        ['csrf', csrf],
        ['email', credentials.email],
        ['password', `${password}\u0000`],
      ],
    ];
    for (const form of forms) {
      const answer = await call(`${issuer}/login/${started.uid}`, {
        form,
        headers: { cookie, accept: 'text/html' },
      });
      expectSafe(answer);
      expect([400, 401, 403]).toContain(answer.status);
    }
    expect((await signIn(started.agent, started.page)).location).toContain('code=');
  });
});

describe('another browser', () => {
  test('cannot see, finish or resume a sign-in whose id it knows [A-037]', async () => {
    const [victim, thief] = [await start(), await start('acme-third')];
    const cookies = ['', await allCookies(thief.agent)];
    for (const cookie of cookies) {
      await expectUnchanged(fixture, async () => {
        const headers = { cookie, accept: 'text/html' };
        expectOver(await call(victim.page.url, { headers }));
        expectOver(await postForm(`/login/${victim.uid}`, cookie, { ...victim.form.fields, ...credentials }));
        expectOver(await postForm(`/login/${victim.uid}`, cookie, { ...thief.form.fields, ...credentials }));
      });
    }
    expectOver(await call(`${issuer}/auth/${victim.uid}`, { headers: { accept: 'text/html' } }));
    // Its own cookie on the other's way back is still its own sign-in.
    const own = await call(`${issuer}/auth/${victim.uid}`, {
      headers: { cookie: cookies[1]!, accept: 'text/html' },
    });
    expectSafe(own);
    expect(own.headers.get('location') ?? '').not.toContain('code=');
    expect((await signIn(victim.agent, victim.page)).location).toContain('code=');
  });

  test('gets nothing by a cookie that was changed, or signed for another name [O-04]', async () => {
    const { agent, uid, page } = await start();
    const cookie = await allCookies(agent);
    const read = (name: string) => new RegExp(`(?:^|; )${name}=([^;]+)`).exec(cookie)![1]!;
    const [value, signature] = [read('interaction'), read('interaction.sig')];
    const forged = [
      `interaction=${value}`,
      `interaction=${value}; interaction.sig=${'a'.repeat(signature.length)}`,
      `interaction=${value}x; interaction.sig=${signature}`,
      `interaction=${value}; interaction.sig=${read('resume.sig')}`,
    ];
    for (const line of forged) {
      expectOver(await call(page.url, { headers: { cookie: line, accept: 'text/html' } }));
    }
    const line = `resume=${value}; resume.sig=${signature}`;
    expectOver(await call(`${issuer}/auth/${uid}`, { headers: { cookie: line, accept: 'text/html' } }));
  });

  test('cannot plant its session: the id of the session changes with the sign-in [session fixation]', async () => {
    const { agent, page } = await start();
    const before = await allCookies(agent);
    await signIn(agent, page);
    const again = await start('acme-web', { prompt: 'login' }, agent);
    const known = await allCookies(again.agent);
    await signIn(again.agent, again.page);
    const { url } = await authorize(await discover(issuer, 'acme-web'), { prompt: 'none' });
    for (const cookie of [before, known]) {
      const answer = await call(url.href, { headers: { cookie } });
      expectSafe(answer);
      expect(answer.headers.get('location')).toContain('error=login_required');
    }
  });
});

describe('id_token_hint of somebody else', () => {
  test('is login_required without a page, and asks with one until that person signs in [A-034, OIDC Core 3.1.2.1]', async () => {
    const alice = (await completeFlow(issuer, 'acme-web')).tokens.id_token!;
    const { agent } = await completeFlow(issuer, 'acme-web', { email: 'bob@example.test' });
    const { url } = await authorize(await discover(issuer, 'acme-web'), {
      prompt: 'none',
      id_token_hint: alice,
    });
    expect((await agent.get(url.href)).location).toContain('error=login_required');

    const asked = await start('acme-web', { id_token_hint: alice }, agent);
    const again = await signIn(agent, asked.page, 'bob@example.test');
    expectSafe(again);
    expect(again.location).toContain('error=login_required');

    const last = await start('acme-web', { id_token_hint: alice }, agent);
    let page = await signIn(agent, last.page);
    while (page.location === undefined) {
      page = await agent.submit(page);
    }
    expect(page.location).toContain(`${redirect_uri}?code=`);
    const silent = await obtainCode(issuer, 'acme-web', { agent, parameters: { prompt: 'none' } });
    const { id_token } = JSON.parse((await redeem(issuer, silent)).body);
    expect(decodeJwt(id_token).sub).toBe(fixture.acme.users.alice);
  });
});

describe('what ends in the middle', () => {
  const setStatus = (table: 'users' | 'clients' | 'tenants', status: string, where: string) =>
    runStatements(fixture.urls.superUrl, [`update ${table} set status = '${status}' where ${where}`]);

  test('a user who is disabled after typing the password gets no code, nor by the session [A-037]', async () => {
    const { agent } = await completeFlow(issuer, 'globex-web');
    const started = await start('globex-web');
    const posted = await postLogin(started);
    const where = `id = '${fixture.globex.users.alice}'`;
    await setStatus('users', 'disabled', where);
    try {
      const page = await started.agent.follow(await started.agent.get(posted.location!));
      expectSafe(page);
      expect(page.location ?? '').not.toContain('code=');
      const { url } = await authorize(await discover(issuer, 'globex-web'));
      const silent = await agent.follow(await agent.get(url.href));
      expectSafe(silent);
      expect(silent.location ?? '').not.toContain('code=');
      const none = await authorize(await discover(issuer, 'globex-web'), { prompt: 'none' });
      const answer = await agent.get(none.url.href);
      expectSafe(answer);
      expect(answer.location).toMatch(/error=(login|interaction)_required|error=access_denied/);
    } finally {
      await setStatus('users', 'active', where);
    }
  });
});
