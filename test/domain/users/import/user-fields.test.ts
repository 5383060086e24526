import { describe, expect, test } from '@jest/globals';
import { judgeFields } from '#src/domain/users/import/user-fields.ts';

const email = 'alice@example.test';
const bcrypt = `$2b$12$${'a'.repeat(53)}`;
const argon2 =
  '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const judge = (fields: Record<string, unknown>) => judgeFields(fields, new Set(['admin', 'member']));

test('takes an address alone, in its one spelling [A-100]', () => {
  expect(judge({ email: ' Alice@EXAMPLE.test ' })).toEqual({ user: { email } });
});

test('takes every field', () => {
  const fields = {
    email,
    name: 'Alice',
    email_verified: true,
    password_hash: argon2,
    roles: ['admin'],
    status: 'disabled',
  };
  expect(judge(fields)).toEqual({ user: fields });
});

test.each([['$2a$'], ['$2b$'], ['$2y$']])('takes a bcrypt hash of %s [H-03]', (prefix) => {
  const password_hash = bcrypt.replace('$2b$', prefix);
  expect(judge({ email, password_hash })).toEqual({ user: { email, password_hash } });
});

describe('refuses as a hash [A-086]', () => {
  test.each([
    ['$2x$', bcrypt.replace('$2b$', '$2x$')],
    ['a cost of 31', bcrypt.replace('$12$', '$31$')],
    ['a cost of 4', bcrypt.replace('$12$', '$04$')],
    ['a truncated bcrypt hash', bcrypt.slice(0, -1)],
    ['argon2i', argon2.replace('argon2id', 'argon2i')],
    ['4 GiB of memory', argon2.replace('m=19456', 'm=4194304')],
    ['a truncated argon2id hash', argon2.slice(0, 60)],
    ['nothing', ''],
    ['a plain password', 'correct horse battery staple'],
    ['hexadecimal MD5', '5f4dcc3b5aa765d61d8327deb882cf99'],
    ['a number', 12],
  ])('%s', (_, password_hash) => {
    const judged = judge({ email, password_hash });
    expect(judged).toEqual({ email, reason: expect.stringMatching(/^password_hash: /) });
    expect(password_hash === '' || !JSON.stringify(judged).includes(String(password_hash))).toBe(true);
  });
});

test('refuses a plain password by name and does not repeat it', () => {
  expect(judge({ email, password: 'hunter2' })).toEqual({
    email,
    reason: 'password: plain passwords are not imported, only password_hash',
  });
});

test('names fields that are not known, and says of what is no name only that', () => {
  expect(judge({ email, phone: 1, external_id: 2 })).toEqual({
    email,
    reason: 'phone: is not a known field; external_id: is not a known field',
  });
  expect(judge({ email, [bcrypt]: 1 })).toEqual({
    email,
    reason: 'a field is not known, and its name is none',
  });
  expect(judge(JSON.parse(`{"email":"${email}","__proto__":{"status":"active"}}`))).toEqual({
    email,
    reason: '__proto__: is not a known field',
  });
});

test.each([
  ['no address', {}, 'email: is missing'],
  ['a number as address', { email: 1 }, 'email: must be text'],
  ['two addresses', { email: 'a@b.test,c@d.test' }, 'email: is not an e-mail address'],
  [
    'an address of 321 characters',
    { email: `${'a'.repeat(309)}@example.test` },
    'email: is not an e-mail address',
  ],
  ['an address with a line end', { email: 'a@b.test\r\nbcc: c@d.test' }, 'email: is not an e-mail address'],
  ['an address with a direction mark', { email: 'a\u{202e}@b.test' }, 'email: is not an e-mail address'],
])('refuses %s, without an address in the report [A-100]', (_, fields, reason) => {
  expect(judge(fields)).toEqual({ email: undefined, reason });
});

test.each([
  ['an unknown status', { status: 'deleted' }, 'status: must be active, disabled, compromised or invited'],
  [
    'an erasure',
    { status: 'erased' },
    'status: erased is not imported: leave the line out, and erase the user with tessera apply',
  ],
  [
    'a password of somebody who is to be invited',
    { status: 'invited', password_hash: bcrypt },
    'status: must not be invited together with password_hash',
  ],
  ['a role that does not exist', { roles: ['member', 'root'] }, 'roles: the tenant has no root'],
  ['roles as text', { roles: 'admin' }, 'roles: must be a list of names'],
  ['a truth value as text', { email_verified: 'yes' }, 'email_verified: must be true or false'],
  ['a name with a line end', { name: 'A\nB' }, /^name: must not hold control characters/],
  ['a name with a null character', { name: 'A\u{0}' }, /^name: must not hold control characters/],
  ['a name of half a character', { name: 'A\ud800' }, /^name: must not hold control characters/],
  ['an endless name', { name: 'A'.repeat(201) }, /^name: /],
  ['two flaws at once', { status: 1, email_verified: 1 }, /^email_verified: .*; status: /],
])('refuses %s', (_, fields, reason) => {
  expect(judge({ email, ...fields })).toEqual({
    email,
    reason: reason instanceof RegExp ? expect.stringMatching(reason) : reason,
  });
});
