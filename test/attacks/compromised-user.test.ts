import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { changeUserStatus, type UserStatus } from '#src/domain/users/life-cycle.ts';
import { findUserByEmail, putUser } from '#src/domain/users/users.ts';
import { eventually } from '#test/support/eventually.ts';
import { comparable, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow } from '#test/support/flow.ts';
import { isSignedIn, openLogin } from '#test/support/login-form.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms } from '#test/support/user-agent.ts';

const email = 'carol@example.test';
const chosen = 'vexed gnu quilt';

let fixture: Fixture;
let node: Node;
let issuer: string;
let hash: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
  hash = await hashPassword(password);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const inAcme = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);
const findCarol = async () => (await inAcme((tx) => findUserByEmail(tx, email)))!;
const mark = async (status: UserStatus) => {
  const { id } = await findCarol();
  expect(await inAcme((tx) => changeUserStatus(tx, id, status))).toEqual({ ok: true });
};
/** As somebody else makes the user active, who gave another password: here the same one, which only the test can do. */
const mend = () =>
  inAcme((tx) =>
    tx
      .updateTable('users')
      .set({ status: 'active', password_compromised: false })
      .where('email', '=', email)
      .execute(),
  );

beforeEach(async () => {
  const user = { email, email_verified: true, name: 'Carol Danvers', password_hash: hash, roles: [] };
  await inAcme((tx) => putUser(tx, user));
});
afterEach(() => inAcme((tx) => tx.deleteFrom('users').where('email', '=', email).execute()));

/** Types the old password and gives the page that comes, with what posts its form. */
async function openNewPassword() {
  const form = await openLogin(issuer);
  const page = await form.send({ email, password });
  const { action, fields } = readForms(page.body)[0]!;
  const url = new URL(action, page.url).href;
  const send = (typed: Record<string, string>, headers = {}) =>
    form.agent.post(url, { ...fields, password, ...typed }, headers);
  const check = (typed: Record<string, string>, headers = {}) =>
    form.agent.post(`${url}/check`, { ...fields, ...typed }, headers);
  return { ...form, page, url, fields, send, check };
}

const alertOf = ({ body }: Page) => /role="alert"[\s\S]*?<p>([\s\S]*?)<\/p>/.exec(body)?.[1] ?? '';

async function expectRefused(work: () => Promise<Page>, status: number): Promise<Page> {
  const answer = await expectUnchanged(fixture, work);
  expectSafe(answer);
  expect({ status: answer.status, location: answer.location }).toEqual({ status, location: undefined });
  return answer;
}

describe('a user who was marked compromised [A-088, N-06]', () => {
  test('signs in by choosing a new password, and with that one only from then on', async () => {
    await mark('compromised');
    const { page, fields, send } = await openNewPassword();
    expectSafe(page);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("connect-src 'self'");
    expect(fields).toMatchObject({ email, password: '', new_password: '' });
    expect(page.body).not.toContain(password);

    const done = await send({ new_password: chosen });
    expect(isSignedIn(done)).toBe(true);
    expect(await findCarol()).toMatchObject({ status: 'active' });
    expect((await findCarol()).password_hash).not.toBe(hash);

    const again = await openLogin(issuer);
    await expectRefused(() => again.send({ email, password }), 401);
    const { tokens } = await completeFlow(issuer, 'acme-web', {
      agent: again.agent,
      email: 'alice@example.test',
    });
    expect(tokens.access_token).toBeTruthy();
    expect(isSignedIn(await (await openLogin(issuer)).send({ email, password: chosen }))).toBe(true);
  });

  test('gets no code with the old password, whichever way is tried [A-037]', async () => {
    await mark('compromised');
    const { agent, page, url, send } = await openNewPassword();
    const uid = /\/login\/([\w-]+)/.exec(page.url)![1]!;
    const resumed = await agent.get(`${issuer}/auth/${uid}`);
    expect(resumed.location ?? '').not.toContain('code=');
    expect((await agent.follow(resumed)).location).toBeUndefined();
    for (const answer of [await send({ new_password: chosen }), await agent.get(url)]) {
      expect(answer.status).toBe(400);
    }
    expect(await findCarol()).toMatchObject({ status: 'compromised', password_hash: hash });
  });

  test('has to know the old password [6.2.3]', async () => {
    await mark('compromised');
    const { send } = await openNewPassword();
    for (const typed of ['', `${password} `, chosen]) {
      const status = typed === '' ? 400 : 401;
      await expectRefused(() => send({ password: typed, new_password: chosen }), status);
    }
    await expectRefused(() => send({ email: 'nobody@example.test', new_password: chosen }), 401);
    await expectRefused(() => send({ new_password: '' }), 400);
  });

  test('gets the same answer to a wrong password as anybody [A-089]', async () => {
    const shape = async () => {
      const form = await openLogin(issuer);
      const uid = form.page.url.split('/').at(-1)!;
      const { csrf } = readForms(form.page.body)[0]!.fields;
      const { body, ...rest } = comparable(await form.send({ email, password: 'wrong' }));
      return { ...rest, body: body.replaceAll(uid, 'uid').replaceAll(csrf!, 'csrf') };
    };
    const active = await shape();
    await mark('compromised');
    expect(await shape()).toEqual(active);
  });

  test('goes on once, though the form is sent twice', async () => {
    await mark('compromised');
    const { send } = await openNewPassword();
    const [first, second] = [await send({ new_password: chosen }), await send({ new_password: chosen })];
    expect([first.status, second.status]).toEqual([303, 303]);
    expect(second.location).toBe(first.location);
    const { password_hash } = await findCarol();
    expect(await send({ new_password: 'another vexed gnu' })).toMatchObject({ location: first.location });
    expect(await findCarol()).toMatchObject({ password_hash });
  });

  test('changes the password once, though two browsers try at the same time', async () => {
    await mark('compromised');
    const forms = await Promise.all([openNewPassword(), openNewPassword()]);
    const answers = await Promise.all(
      forms.map(({ send }, index) => send({ new_password: `${chosen} of number ${index}` })),
    );
    expect(answers.filter(isSignedIn)).toHaveLength(1);
    for (const answer of answers.filter((one) => !isSignedIn(one))) {
      expectSafe(answer);
      expect(answer.status === 401 || answer.location?.includes('/login/')).toBe(true);
    }
  });

  test('only: anybody else is sent to the usual sign-in, and keeps the password', async () => {
    await mark('compromised');
    const { send } = await openNewPassword();
    await mend();
    const answer = await expectUnchanged(fixture, () => send({ new_password: chosen }));
    expect(answer.status).toBe(303);
    expect(answer.location).toMatch(/\/login\/[\w-]+$/);
    await mark('disabled');
    await expectRefused(() => send({ new_password: chosen }), 401);
  });

  test('loses every session and token of before, and for good [G-13, 7.4.2]', async () => {
    const agent = makeUserAgent();
    const { config, tokens } = await completeFlow(issuer, 'acme-web', { agent, email });
    const { access_token: opaque } = (
      await completeFlow(issuer, 'acme-web', { agent, email, parameters: { resource: undefined } })
    ).tokens;
    await mark('compromised');
    expect((await findCarol()).sessions_valid_from).toBeInstanceOf(Date);
    const expectNothing = async () => {
      await expect(client.refreshTokenGrant(config, tokens.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
      const { url } = await authorize(config, { prompt: 'none' });
      expect((await agent.follow(await agent.get(url.href))).location).toContain('error=login_required');
    };
    await expectNothing();
    await expect(client.fetchUserInfo(config, opaque!, client.skipSubjectCheck)).rejects.toThrow();

    await mend();
    await runStatements(fixture.urls.superUrl, [
      `update users set sessions_valid_from = now() + interval '60 seconds' where email = '${email}'`,
    ]);
    await expectNothing();
    await expect(client.fetchUserInfo(config, opaque!, client.skipSubjectCheck)).rejects.toThrow();
    // A new sign-in counts, though this moment lies ahead of the node's clock.
    const { tokens: fresh } = await completeFlow(issuer, 'acme-web', { email });
    await client.refreshTokenGrant(config, fresh.refresh_token!);
    expect((await browse(agent, (await authorize(config)).url, email)).searchParams.get('code')).toBeTruthy();
  });
});

describe('the new password', () => {
  test.each([
    ['14 characters', 'vexed gnu quil', /fewer than 15 characters/],
    ['257 characters', `${'vexed gnu quilt '.repeat(16)}x`, /more than 256 characters/],
    ['one of a breach', 'qwertyuiopasdfgh', /known from a breach/],
    ['one of a breach in capitals', 'PASSWORDPASSWORD', /known from a breach/],
    ['tenant, product and year', 'acme-tessera-2026!', /names and words/],
    ['the own name and address', 'Carol Danvers carol@example.test', /names and words/],
    ['a repetition', 'x'.repeat(30), /easy to guess.*Leave out repetitions/],
    ['the old one', password, /already have/],
  ])(
    'may not be %s: the reason is said, and what would be better [A-082, A-087, N-09]',
    async (_, typed, reason) => {
      await mark('compromised');
      const { send } = await openNewPassword();
      const answer = await expectRefused(() => send({ new_password: typed }), 400);
      expect(alertOf(answer)).toMatch(reason);
      expect(answer.body).not.toContain(typed);
      expect(readForms(answer.body)[0]!.fields).toMatchObject({ email, password: '', new_password: '' });
    },
  );

  test.each([
    ['15 emoji', '🦊🐙🦀🐝🦋🐢🐬🦉🐺🦁🐯🐻🐼🐨🐸'],
    ['blanks and letters', ' v x q z k w j u '],
    ['256 characters of four bytes', '🦊🐙🦀🐝🦋🐢🐬🦉🐺🦁🐯🐻🐼🐨🐸🌵'.repeat(16)],
  ])('may be %s, and signs in as it was typed [N-02, N-03, N-05, 6.2.8]', async (_, typed) => {
    await mark('compromised');
    const { send } = await openNewPassword();
    expect(isSignedIn(await send({ new_password: typed }))).toBe(true);
    const form = await openLogin(issuer);
    await expectRefused(() => form.send({ email, password: typed.slice(0, -2) }), 401);
    expect(isSignedIn(await form.send({ email, password: typed }))).toBe(true);
  });

  test('signs in composed or decomposed, whichever it was set in [A-105, N-04]', async () => {
    for (const [set, typed] of [
      ['caf\u00e9 gnu quilts', 'cafe\u0301 gnu quilts'],
      ['cafe\u0301 gnu kayaks', 'caf\u00e9 gnu kayaks'],
    ] as const) {
      await mark('compromised');
      const current = set.includes('kayaks') ? 'caf\u00e9 gnu quilts' : password;
      const form = await openLogin(issuer);
      const page = await form.send({ email, password: current });
      expect(
        isSignedIn(
          await form.agent.post(`${page.url}/password`, {
            ...readForms(page.body)[0]!.fields,
            password: current,
            new_password: set,
          }),
        ),
      ).toBe(true);
      expect(isSignedIn(await (await openLogin(issuer)).send({ email, password: typed }))).toBe(true);
    }
  });
});

describe('the check while it is typed', () => {
  test('says what the form would say, and changes nothing', async () => {
    await mark('compromised');
    const { check } = await openNewPassword();
    const say = async (new_password: string) => {
      const answer = await expectUnchanged(fixture, () => check({ new_password }));
      expectSafe(answer);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
      return JSON.parse(answer.body) as { score: number; text: string };
    };
    expect(await say('vexed gnu quil')).toMatchObject({ score: 1, text: expect.stringContaining('15') });
    expect(await say('acme-tessera-2026!')).toMatchObject({
      score: 1,
      text: expect.stringContaining('names'),
    });
    expect(await say('carol@example.test')).toMatchObject({
      score: 1,
      text: expect.stringContaining('names'),
    });
    expect(await say(chosen)).toEqual({ score: 4, text: 'Very hard to guess.' });
    expect(await say('')).toMatchObject({ score: 1 });
  });

  test('answers the page only: not another site, nor a form of another sign-in [A-132, N-25]', async () => {
    await mark('compromised');
    const [mine, other] = [await openNewPassword(), await openNewPassword()];
    const foreign = [
      await mine.check({ new_password: chosen }, { 'sec-fetch-site': 'cross-site' }),
      await mine.check({ new_password: chosen, csrf: other.fields['csrf']! }),
      await mine.send({ new_password: chosen, csrf: other.fields['csrf']! }),
      await mine.send({ new_password: chosen, csrf: '' }),
    ];
    for (const answer of foreign) {
      expectSafe(answer);
      expect(answer.status).toBe(403);
    }
    const outsider = await makeUserAgent().post(`${mine.url}/check`, {
      ...mine.fields,
      new_password: chosen,
    });
    expect(outsider.status).toBe(400);
    expect(await findCarol()).toMatchObject({ status: 'compromised', password_hash: hash });
  });

  test('is bounded by the size of a form [A-084]', async () => {
    await mark('compromised');
    const { check } = await openNewPassword();
    expect((await check({ new_password: 'x'.repeat(20_000) })).status).toBe(413);
    expect(
      (await check({ new_password: '4@8({[<369!1|70+5$7%2'.repeat(12), email: 'x'.repeat(9_000) })).status,
    ).toBe(200);
  });
});

test('the database has no place for a hint or a question about a password [N-07, 6.4.2]', async () => {
  const columns = await runStatements(fixture.urls.superUrl, [
    `select column_name as name from information_schema.columns where table_schema = 'public'`,
  ]);
  const names = columns.map(({ name }) => String(name));
  expect(names).toContain('password_hash');
  expect(names.filter((name) => /hint|question|answer|^password$/.test(name))).toEqual([]);
});

test('a tenant that demands a second factor takes eight characters [N-01]', async () => {
  await runStatements(fixture.urls.superUrl, [
    `update tenants set settings = '{"mfa":"required"}' where slug = 'acme'`,
  ]);
  await mark('compromised');
  await eventually(
    async () => (await openNewPassword()).page.body.includes('At least 8 characters') || undefined,
  );
  const { send } = await openNewPassword();
  await expectRefused(() => send({ new_password: 'q7Rx#9t' }), 400);
  expect(isSignedIn(await send({ new_password: 'q7Rx#9tv' }))).toBe(true);
});
