import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { lockoutPolicy } from '#src/domain/credentials/lockout-policy.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { putUser } from '#src/domain/users/users.ts';
import { comparable, expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { isSignedIn, type LoginForm, openLogin } from '#test/support/login-form.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode, unlimitedSignIns } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

const { free, stop } = lockoutPolicy;
const alice = 'alice@example.test';
const bob = 'bob@example.test';

let fixture: Fixture;
let node: Node;
let issuer: string;
let hash: string;
/** Of a stranger. */
let form: LoginForm;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: unlimitedSignIns });
  issuer = node.url;
  hash = await hashPassword(password);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});
beforeEach(async () => {
  await sql('delete from known_devices');
  await setFailures(0);
  form = await openLogin(issuer);
});

const sql = (...statements: string[]) => runStatements(fixture.urls.superUrl, statements);
/** As after so many failures, the last wait of which is over. */
const setFailures = (count: number) =>
  sql(
    `update users set failed_login_attempts = ${count}, failed_device_attempts = 0, locked_until = null, status = 'active', password_compromised = false`,
  );
const endWait = () => sql(`update users set locked_until = now() - interval '1 second'`);
const failuresOf = async (email: string) => {
  const where = `email = '${email}' and tenant_id = '${fixture.acme.tenant_id}'`;
  return (await sql(`select failed_login_attempts from users where ${where}`))[0]!['failed_login_attempts'];
};
async function failTimes(count: number, email = alice, sender = form): Promise<Page[]> {
  const answers: Page[] = [];
  for (let index = 0; index < count; index++) {
    answers.push(await sender.send({ email, password: `wrong ${index}` }));
  }
  return answers;
}
/** All that somebody could tell two answers apart by. */
const shape = (answer: Page, email: string) => {
  expectSafe(answer);
  const { body, ...rest } = comparable(answer);
  return { ...rest, body: body.replaceAll(email, 'typed') };
};
/** A browser that alice, or who is named, has signed in from. */
async function knownBrowser(...emails: string[]): Promise<UserAgent> {
  const agent = makeUserAgent();
  for (const email of emails.length ? emails : [alice]) {
    expect(isSignedIn(await (await openLogin(issuer, 'acme-web', { agent })).send({ email, password }))).toBe(
      true,
    );
  }
  return agent;
}
const trySignIn = async (agent: UserAgent, email = alice) =>
  (await openLogin(issuer, 'acme-web', { agent })).send({ email, password });
const deviceCookies = async (agent: UserAgent) =>
  (await agent.jar.getCookies(issuer)).filter(({ key }) => key.startsWith('device-'));
const secretsOf = async (agent: UserAgent) =>
  (await deviceCookies(agent)).find(({ key }) => !key.endsWith('.sig'))!.value.split('.');

describe('after five wrong passwords', () => {
  test('20 in a row and the right one among them get the answer of the first; after the wait it is right again [A-091]', async () => {
    const answers = await failTimes(20);
    const refused = await form.send({ email: alice, password });
    expect(new Set([...answers, refused].map((answer) => JSON.stringify(shape(answer, alice)))).size).toBe(1);
    expect(refused.status).toBe(401);
    expect(await failuresOf(alice)).toBe(free);

    await endWait();
    expect(isSignedIn(await form.send({ email: alice, password }))).toBe(true);
    expect(await failuresOf(alice)).toBe(0);
    expect(
      await sql(
        `select last_login_at is not null as at, last_login_ip from users where id = '${fixture.acme.users.alice}'`,
      ),
    ).toEqual([{ at: true, last_login_ip: '127.0.0.1' }]);
  });

  test('nobody hears whether a user is locked, stopped, disabled, passwordless or unknown [A-089]', async () => {
    const user = { email_verified: true, name: null, roles: [] };
    const addresses = ['locked', 'stopped', 'disabled', 'passwordless'].map((name) => `${name}@example.test`);
    await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
      for (const email of addresses) {
        await putUser(tx, {
          ...user,
          email,
          ...(email.startsWith('passwordless') ? {} : { password_hash: hash }),
        });
      }
    });
    await sql(
      `update users set failed_login_attempts = 5, locked_until = now() + interval '1 hour' where email like 'locked@%'`,
      `update users set failed_login_attempts = ${stop} where email like 'stopped@%'`,
      `update users set status = 'disabled' where email like 'disabled@%'`,
    );
    const stranger = shape(await form.send({ email: alice, password: 'wrong' }), alice);
    expect(stranger.headers.join()).not.toContain('set-cookie');
    for (const email of [...addresses, 'nobody@example.test', 'no address']) {
      for (const typed of ['wrong', password]) {
        expect(shape(await form.send({ email, password: typed }), email)).toEqual(stranger);
      }
    }
  });

  test('the page says that there are pauses, to everybody', async () => {
    for (const email of [alice, 'nobody@example.test']) {
      const [answer] = await failTimes(1, email);
      expect(answer!.body).toContain(
        'After several wrong passwords, sign-in to an account pauses for a while',
      );
    }
  });

  test.each([
    ['letters of another case', 'ALICE@Example.TEST'],
    ['letters of full width', 'ａｌｉｃｅ@example.test'],
    ['blanks around it', `  ${alice} `],
    ['a domain of full width', 'alice@ｅｘａｍｐｌｅ.test'],
  ])('an address with %s is the same account [A-093, C-55]', async (_, spelling) => {
    await failTimes(2);
    await failTimes(2, spelling);
    expect(await failuresOf(alice)).toBe(4);
    await failTimes(1, spelling);
    expect((await form.send({ email: alice, password })).status).toBe(401);
    expect((await form.send({ email: spelling, password })).status).toBe(401);
  });

  test('so it is through another client, and with the tenant named by slug or by id [A-093]', async () => {
    for (const tenant of ['acme', fixture.acme.tenant_id]) {
      const shared = await openLogin(issuer, 'shared-web', { parameters: { tenant } });
      await failTimes(2, alice, shared);
    }
    await failTimes(1, alice, await openLogin(issuer, 'acme-third'));
    expect(await failuresOf(alice)).toBe(free);
    expect((await form.send({ email: alice, password })).status).toBe(401);
    // The one of the same address in the other tenant is somebody else.
    const other = await openLogin(issuer, 'globex-web');
    expect(isSignedIn(await other.send({ email: alice, password }))).toBe(true);
  });

  test('no other page that takes the password lets it pass, and all of them count together [A-099, C-08]', async () => {
    await sql(`update users set status = 'compromised' where email = '${alice}'`);
    const page = await form.send({ email: alice, password });
    const { action, fields } = readForms(page.body)[0]!;
    const change = (typed: string) =>
      form.agent.post(new URL(action, page.url).href, {
        ...fields,
        email: alice,
        password: typed,
        new_password: 'vexed gnu quilt',
      });
    // Without what makes it a known device.
    await sql('delete from known_devices');
    await failTimes(2);
    for (let index = 0; index < free - 2; index++) {
      expect((await change('wrong')).status).toBe(401);
    }
    const refused = await change(password);
    expect(refused.status).toBe(401);
    expect(shape(refused, alice)).toEqual(shape(await change('wrong'), alice));
    expect((await form.send({ email: alice, password })).status).toBe(401);
    expect(await failuresOf(alice)).toBe(free);
    await endWait();
    expect(isSignedIn(await change(password))).toBe(true);
    await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
      putUser(tx, { email: alice, email_verified: true, name: 'Alice', password_hash: hash, roles: [] }),
    );
  });
});

test('after 100 failures only another password opens the account, whatever the device [A-098, N-13]', async () => {
  const known = await knownBrowser();
  await setFailures(stop - 1);
  await failTimes(1);
  await endWait();
  for (const answer of [await form.send({ email: alice, password }), await trySignIn(known)]) {
    expect(answer.status).toBe(401);
  }
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    putUser(tx, { email: alice, email_verified: true, name: 'Alice', password_hash: hash, roles: [] }),
  );
  expect(isSignedIn(await form.send({ email: alice, password }))).toBe(true);
});

describe('a device that was used before [A-096]', () => {
  test('lets its owner in while somebody else keeps failing, who stays out', async () => {
    const known = await knownBrowser();
    await failTimes(30);
    expect((await trySignIn(makeUserAgent())).status).toBe(401);
    expect(isSignedIn(await trySignIn(known))).toBe(true);
  });

  test('is a cookie that scripts and other sites do not get, for 400 days, with nothing readable in it', async () => {
    const answer = await form.send({ email: alice, password });
    const lines = answer.headers.getSetCookie().filter((line) => line.startsWith('device-'));
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).toMatch(new RegExp(`^device-${fixture.acme.tenant_id}(\\.sig)?=[\\w-]+;`));
      expect(line).toMatch(/; path=\//);
      expect(line).toMatch(/; httponly/i);
      expect(line).toMatch(/; samesite=lax/i);
      const expires = Date.parse(/expires=([^;]+)/i.exec(line)![1]!);
      expect(Math.round((expires - Date.now()) / 86_400_000)).toBe(400);
    }
  });

  test('is known for each who signed in there, and for nobody else', async () => {
    const shared = await knownBrowser(alice, bob);
    expect(await secretsOf(shared)).toHaveLength(2);
    await failTimes(free, alice);
    await failTimes(free, bob);
    const [newest] = await secretsOf(shared);
    expect(isSignedIn(await trySignIn(shared, alice))).toBe(true);
    expect((await secretsOf(shared))[1]).toBe(newest);
    expect(isSignedIn(await trySignIn(shared, bob))).toBe(true);
    await failTimes(free, alice);
    expect((await trySignIn(await knownBrowser(bob), alice)).status).toBe(401);
  });

  test('counts its own failures: five, then it waits, and strangers do not wait for it', async () => {
    const known = await openLogin(issuer, 'acme-web', { agent: await knownBrowser() });
    const answers = await failTimes(free, alice, known);
    const refused = await known.send({ email: alice, password });
    expect(shape(refused, alice)).toEqual(shape(answers[0]!, alice));
    expect(isSignedIn(await form.send({ email: alice, password }))).toBe(true);
  });

  test.each<[string, (name: string, value: string, sig: string) => string[]]>([
    ['without its signature', (name, value) => [`${name}=${value}`]],
    [
      'with a signature of another value',
      (name, value, sig) => [`${name}=${'x'.repeat(43)}.${value}`, `${name}.sig=${sig}`],
    ],
    [
      'with a signature that was made up',
      (name, value) => [`${name}=${value}`, `${name}.sig=${'x'.repeat(27)}`],
    ],
    [
      'under the name of another tenant',
      (name, value, sig) => {
        const other = name.replace(fixture.acme.tenant_id, fixture.globex.tenant_id);
        return [`${other}=${value}`, `${other}.sig=${sig}`];
      },
    ],
  ])('is none when its cookie comes %s', async (_, forge) => {
    const [value, sig] = ['', '.sig'].map(
      (end) => async (agent: UserAgent) =>
        (await deviceCookies(agent)).find(({ key }) => key === `device-${fixture.acme.tenant_id}${end}`)!
          .value,
    ) as [(agent: UserAgent) => Promise<string>, (agent: UserAgent) => Promise<string>];
    const known = await knownBrowser();
    const forger = makeUserAgent();
    for (const cookie of forge(`device-${fixture.acme.tenant_id}`, await value(known), await sig(known))) {
      await forger.jar.setCookie(`${cookie}; path=/`, issuer);
    }
    await failTimes(free);
    expect((await trySignIn(forger)).status).toBe(401);
    expect(isSignedIn(await trySignIn(known))).toBe(true);
  });

  test('is never one that somebody else has prepared: a sign-in makes a secret of its own', async () => {
    // The attacker's own browser, in which alice signs in once.
    const prepared = await knownBrowser(bob);
    const [planted] = await secretsOf(prepared);
    const victim = makeUserAgent();
    for (const cookie of await deviceCookies(prepared)) {
      await victim.jar.setCookie(cookie.toString(), issuer);
    }
    expect(isSignedIn(await trySignIn(victim, alice))).toBe(true);
    const secrets = await secretsOf(victim);
    expect(secrets).toEqual([expect.not.stringMatching(planted!), planted]);
    await failTimes(free);
    expect((await trySignIn(prepared, alice)).status).toBe(401);
  });

  test('is forgotten with the old password, but for the one on which the new one is chosen', async () => {
    const email = 'dora@example.test';
    await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
      putUser(tx, { email, email_verified: true, name: 'Dora', password_hash: hash, roles: [] }),
    );
    const [here, elsewhere] = [await knownBrowser(email), await knownBrowser(email)];
    await sql(`update users set status = 'compromised' where email = '${email}'`);
    const page = await trySignIn(here, email);
    const { action, fields } = readForms(page.body)[0]!;
    const changed = { ...fields, password, new_password: 'vexed gnu quilt' };
    expect(isSignedIn(await here.post(new URL(action, page.url).href, changed))).toBe(true);
    await failTimes(free, email);
    const again = async (agent: UserAgent) =>
      (await openLogin(issuer, 'acme-web', { agent })).send({ email, password: 'vexed gnu quilt' });
    expect((await again(elsewhere)).status).toBe(401);
    expect(isSignedIn(await again(here))).toBe(true);
  });
});
