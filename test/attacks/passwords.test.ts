import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword, PasswordError } from '#src/domain/credentials/password-hash.ts';
import { putUser } from '#src/domain/users/users.ts';
import { call } from '#test/support/call.ts';
import { comparable, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { forgetFailures } from '#test/support/failures.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { isSignedIn, type LoginForm, openLogin } from '#test/support/login-form.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode, unlimitedSignIns } from '#test/support/server.ts';
import type { Page } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let form: LoginForm;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: unlimitedSignIns });
  issuer = node.url;
  form = await openLogin(issuer);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

beforeEach(() => forgetFailures(fixture));

const alice = 'alice@example.test';

/** Makes a user of acme with this hash, and gives the address. */
async function addUser(name: string, password_hash: string | undefined, email_verified = true) {
  const email = `${name}@example.test`;
  const user = { email, email_verified, name, password_hash, roles: [] };
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) => putUser(tx, user));
  return email;
}

async function expectRefused(fields: Record<string, string>, status = 401): Promise<Page> {
  const answer = await expectUnchanged(fixture, () => form.send(fields));
  expectSafe(answer);
  expect({ status: answer.status, location: answer.location }).toEqual({ status, location: undefined });
  return answer;
}

async function expectSignedIn(fields: Record<string, string>) {
  const answer = await (await openLogin(issuer)).send(fields);
  expectSafe(answer);
  expect(isSignedIn(answer)).toBe(true);
}

describe('a password is compared whole [A-083]', () => {
  test.each([
    ['in another case', password.toUpperCase()],
    ['with a capital', `C${password.slice(1)}`],
    ['with a blank behind it', `${password} `],
    ['with a blank before it', ` ${password}`],
    ['with a line break behind it', `${password}\n`],
    ['without its last character', password.slice(0, -1)],
    ['without its first character', password.slice(1)],
    ['without its blanks', password.replaceAll(' ', '')],
    ['with other blanks', password.replaceAll(' ', '\u00a0')],
    ['twice', password + password],
    ['of another user’s address', alice],
  ])('%s it is refused', async (_, typed) => {
    await expectRefused({ email: alice, password: typed });
  });

  test('with a NUL behind it is no text, and refused', async () => {
    await expectRefused({ email: alice, password: `${password}\u0000` }, 400);
  });

  test('as it is it is taken', async () => {
    await expectSignedIn({ email: alice, password });
  });

  test('against bcrypt, too, which reads 72 bytes only [N-08]', async () => {
    const stem = 'x'.repeat(71);
    const email = await addUser('bcrypt', bcrypt.hashSync(`${stem}a`, 10));
    for (const typed of [`${stem}a tail`, `${stem}b`, stem]) {
      await expectRefused({ email, password: typed });
    }
    await expectSignedIn({ email, password: `${stem}a` });
  });
});

describe('the length of a password [A-082, N-02, N-03]', () => {
  test.each([
    ['64 characters', 'a'.repeat(64)],
    ['128 characters', 'b'.repeat(128)],
    ['256 characters', 'c'.repeat(256)],
    ['256 emoji of 1,024 bytes', '🗝'.repeat(256)],
    ['15 emoji', '🔑'.repeat(15)],
    ['blanks and letters', ' a b c d e f g '],
    [
      'every printing character of ASCII',
      String.fromCodePoint(...Array.from({ length: 95 }, (_, i) => 32 + i)),
    ],
  ])('may be %s', async (name, typed) => {
    const email = await addUser(`length-${name.length}-${typed.length}`, await hashPassword(typed));
    await expectSignedIn({ email, password: typed });
    await expectRefused({ email, password: typed.slice(0, -2) });
  });

  test.each([
    ['257 characters', 'a'.repeat(257)],
    ['257 emoji', '🗝'.repeat(257)],
    ['nothing', ''],
  ])('may not be %s, and the reason is said without the password', async (_, typed) => {
    const error = await hashPassword(typed).catch((refused) => refused);
    expect(error).toBeInstanceOf(PasswordError);
    expect(error.message).toMatch(/256 characters|at least/);
    expect(error.message).not.toContain('aaa');
  });

  test('of 257 characters is refused at the sign-in and not cut', async () => {
    const email = await addUser('cut', await hashPassword('d'.repeat(256)));
    await expectRefused({ email, password: 'd'.repeat(257) });
    await expectRefused({ email, password: 'd'.repeat(10_000) });
  });
});

test('bodies of 1 MB and 10 MB are refused unread, and others are served meanwhile [A-084]', async () => {
  const huge = (bytes: number) => `email=${encodeURIComponent(alice)}&password=${'x'.repeat(bytes)}`;
  const before = node.log.length;
  const flood = [
    ...Array.from({ length: 50 }, () => form.sendRaw(huge(1_000_000))),
    ...Array.from({ length: 3 }, () => form.sendRaw(huge(10_000_000))),
  ];
  const documents = await Promise.all(Array.from({ length: 10 }, () => call(`${issuer}/jwks`)));
  expect(documents.map(({ status }) => status)).toEqual(Array(10).fill(200));
  for (const outcome of await Promise.allSettled(flood)) {
    // A sender that goes on after the answer may find the connection closed.
    if (outcome.status === 'fulfilled') {
      expectSafe(outcome.value);
      expect([400, 413]).toContain(outcome.value.status);
    }
  }
  const logins = node.log.slice(before).filter(({ method }) => method === 'POST');
  expect(logins.filter(({ status }) => status !== 400 && status !== 413)).toEqual([]);
});

describe('a stored hash that nobody can have meant [A-086]', () => {
  const salt = 'c29tZXNhbHRzb21lc2FsdA';
  const digest = 'A'.repeat(43);
  test.each([
    ['bcrypt 2x', bcrypt.hashSync(password, 10).replace('$2b$', '$2x$')],
    ['bcrypt of cost 31', bcrypt.hashSync(password, 10).replace('$10$', '$31$')],
    ['bcrypt of cost 04', bcrypt.hashSync(password, 4)],
    ['bcrypt cut short', bcrypt.hashSync(password, 10).slice(0, -5)],
    ['argon2i', `$argon2i$v=19$m=19456,t=2,p=1$${salt}$${digest}`],
    ['argon2d', `$argon2d$v=19$m=19456,t=2,p=1$${salt}$${digest}`],
    ['argon2id of 4 GiB', `$argon2id$v=19$m=4194304,t=2,p=1$${salt}$${digest}`],
    ['argon2id of a million passes', `$argon2id$v=19$m=19456,t=1000000,p=1$${salt}$${digest}`],
    ['argon2id of no memory', `$argon2id$v=19$m=0,t=0,p=0$${salt}$${digest}`],
    ['argon2id of less memory than lanes', `$argon2id$v=19$m=8,t=1,p=16$${salt}$${digest}`],
    ['argon2id of an unknown version', `$argon2id$v=99$m=19456,t=2,p=1$${salt}$${digest}`],
    ['argon2id without a salt', `$argon2id$v=19$m=19456,t=2,p=1$$${digest}`],
    ['argon2id with a broken digest', `$argon2id$v=19$m=19456,t=2,p=1$${salt}$!!!`],
    ['argon2id cut short', `$argon2id$v=19$m=19456,t=2,p=1$${salt}`],
    ['no hash but the password', password],
    ['nothing', ''],
    ['SHA-256', '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8'],
  ])('%s: the sign-in is refused, and the next one is served', async (_, stored) => {
    const email = await addUser('forced', stored);
    for (const typed of [password, stored || 'x']) {
      await expectRefused({ email, password: typed });
    }
  });
});

test('an old password need not be changed [A-088, N-06]', async () => {
  const email = await addUser('old', await hashPassword(password));
  await runStatements(fixture.urls.superUrl, [
    `update users set created_at = now() - interval '400 days', updated_at = now() - interval '400 days' where email = '${email}'`,
  ]);
  await expectSignedIn({ email, password });
});

describe('nothing tells who exists [A-089]', () => {
  const shape = (answer: Page, email: string) => {
    const { body, ...rest } = comparable(answer);
    return { ...rest, body: body.replaceAll(email, 'typed') };
  };

  test('unknown, disabled, unverified, passwordless and known users get the same answer to a wrong password', async () => {
    const hash = await hashPassword(password);
    const disabled = await addUser('disabled', hash);
    await runStatements(fixture.urls.superUrl, [
      `update users set status = 'disabled' where email = '${disabled}'`,
    ]);
    const emails = [
      alice,
      disabled,
      await addUser('unverified', hash, false),
      await addUser('passwordless', undefined),
      await addUser('imported', bcrypt.hashSync(password, 10)),
      'carol@globex.test',
      'not an address',
      'two@at@signs.test',
      `${'x'.repeat(400)}@example.test`,
    ];
    const unknown = shape(
      await expectRefused({ email: 'unknown@example.test', password: 'wrong' }),
      'unknown@example.test',
    );
    for (const email of emails) {
      expect(shape(await expectRefused({ email, password: 'wrong' }), email)).toEqual(unknown);
    }
    // The right one is no better where nobody may sign in.
    for (const email of [disabled, 'passwordless@example.test', 'unknown@example.test']) {
      expect(shape(await expectRefused({ email, password }), email)).toEqual(unknown);
    }
  });

  test('a user of another tenant alone is unknown here', async () => {
    await withTenant(fixture.db, fixture.globex.tenant_id, async (tx) => {
      const password_hash = await hashPassword(password);
      const user = {
        email: 'dave@example.test',
        email_verified: true,
        name: 'Dave',
        password_hash,
        roles: [],
      };
      await putUser(tx, user);
    });
    await expectRefused({ email: 'dave@example.test', password });
  });
});
