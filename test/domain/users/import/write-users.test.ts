import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import type { ImportedUser } from '#src/domain/users/import/user-fields.ts';
import { writeUsers } from '#src/domain/users/import/write-users.ts';
import { putRole } from '#src/domain/users/roles.ts';
import { findUserByEmail, putUser } from '#src/domain/users/users.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { isSomebodyWaiting } from '#test/support/import.ts';
import { runStatements } from '#test/support/postgres.ts';

const email = 'new@example.test';
const [bcrypt, otherBcrypt] = ['a', 'b'].map((letter) => `$2b$12$${letter.repeat(53)}`) as [string, string];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    putRole(tx, { name: 'member', permissions: [] }),
  );
});
afterAll(() => fixture?.drop());
beforeEach(() => runStatements(fixture.urls.superUrl, ["delete from users where email like 'new%'"]));

const write = (...users: ImportedUser[]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, (tx) => writeUsers(tx, users));
const find = (address = email) =>
  withTenant(fixture.db, fixture.acme.tenant_id, (tx) => findUserByEmail(tx, address));
const set = (change: string) =>
  runStatements(fixture.urls.superUrl, [`update users set ${change} where email = '${email}'`]);

test('creates with defaults, updates what is given, and finds the same unchanged', async () => {
  expect(await write({ email })).toEqual({ imported: 1, updated: 0, unchanged: 0 });
  expect(await find()).toMatchObject({
    name: null,
    email_verified: false,
    status: 'invited',
    password_hash: null,
    roles: [],
  });

  const full: ImportedUser = {
    email,
    name: 'New',
    email_verified: true,
    password_hash: bcrypt,
    status: 'disabled',
    roles: ['member', 'admin', 'member'],
  };
  expect(await write(full)).toEqual({ imported: 0, updated: 1, unchanged: 0 });
  const stored = { ...full, roles: ['admin', 'member'] };
  expect(await find()).toMatchObject(stored);

  for (const user of [full, { email }]) {
    expect(await write(user)).toEqual({ imported: 0, updated: 0, unchanged: 1 });
  }
  expect(await find()).toMatchObject(stored);
});

test('gives and takes roles', async () => {
  await write({ email, roles: ['admin'] });
  expect(await write({ email, roles: ['member'] })).toMatchObject({ updated: 1 });
  expect((await find())!.roles).toEqual(['member']);
  expect(await write({ email, roles: [] })).toMatchObject({ updated: 1 });
  expect((await find())!.roles).toEqual([]);
});

test('keeps the id and the day of creation of who is there, and notes the change', async () => {
  await write({ email });
  await set("created_at = 'epoch', updated_at = 'epoch'");
  const before = await find();
  await write({ email, name: 'New' });
  const after = await find();
  expect(after!.id).toBe(before!.id);
  expect(after!.updated_at.getTime()).toBeGreaterThan(0);
  const rows = await runStatements(fixture.urls.superUrl, [
    `select created_at = 'epoch' as kept from users where email = '${email}'`,
  ]);
  expect(rows).toEqual([{ kept: true }]);
});

test('writes many at once, each with its own', async () => {
  const users = Array.from({ length: 40 }, (_, index) => ({
    email: `new${index}@example.test`,
    name: `User ${index}`,
    roles: index % 2 ? ['admin'] : ['member'],
    ...(index % 3 ? { password_hash: bcrypt } : {}),
  }));
  expect(await write(...users)).toEqual({ imported: 40, updated: 0, unchanged: 0 });
  for (const { email, ...fields } of [users[0]!, users[7]!, users[39]!]) {
    expect(await find(email)).toMatchObject(fields);
  }
  expect(await write(...users.map((user, index) => (index < 3 ? { ...user, name: 'X' } : user)))).toEqual({
    imported: 0,
    updated: 3,
    unchanged: 37,
  });
});

describe('a hash', () => {
  test('that was imported gives way to another import', async () => {
    await write({ email, password_hash: bcrypt });
    expect(await write({ email, password_hash: otherBcrypt })).toMatchObject({ updated: 1 });
    expect((await find())!.password_hash).toBe(otherBcrypt);
  });

  test('that was made here stays, and the rest of the line is taken', async () => {
    const own = await hashPassword('correct horse battery staple');
    await write({ email, password_hash: bcrypt });
    await set(`password_hash = '${own}'`);
    expect(await write({ email, password_hash: bcrypt, name: 'New' })).toMatchObject({ updated: 1 });
    expect(await find()).toMatchObject({ password_hash: own, name: 'New' });
    expect(await write({ email, password_hash: bcrypt })).toMatchObject({ unchanged: 1 });
  });
});

test('a role that does not exist leaves nothing of the batch', async () => {
  const writing = write({ email: 'new1@example.test' }, { email, roles: ['nobody'] });
  await expect(writing).rejects.toMatchObject({ code: '23503' });
  expect(await find('new1@example.test')).toBeUndefined();
});

test('somebody who makes the same user meanwhile is noticed', async () => {
  // An object, since the transaction would wait for a promise that it gives.
  const { writing } = await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await tx.insertInto('users').values({ email, name: 'By another' }).execute();
    const writing = write({ email, name: 'By import' });
    writing.catch(() => {});
    await eventually(() => isSomebodyWaiting(fixture));
    return { writing };
  });
  await expect(writing).rejects.toThrow('another process made one of these users');
  expect((await find())!.name).toBe('By another');
});

test('what somebody else does to the same user meanwhile is seen, roles included', async () => {
  await write({ email });
  const { writing } = await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await putUser(tx, { email, email_verified: true, name: 'By another', roles: ['member'] });
    const writing = write({ email, roles: ['admin'] });
    writing.catch(() => {});
    await eventually(() => isSomebodyWaiting(fixture));
    return { writing };
  });
  expect(await writing).toMatchObject({ updated: 1 });
  expect(await find()).toMatchObject({ name: 'By another', email_verified: true, roles: ['admin'] });
});

describe('a compromised user', () => {
  beforeEach(async () => {
    await write({ email, password_hash: bcrypt });
    await set("status = 'compromised'");
  });

  test('stays so with the hash that leaked', async () => {
    expect(await write({ email, password_hash: bcrypt, status: 'active' })).toMatchObject({ unchanged: 1 });
    expect(await find()).toMatchObject({ status: 'compromised', password_hash: bcrypt });
  });

  test('is active again with another import of a hash, and may be disabled', async () => {
    await write({ email, password_hash: otherBcrypt, status: 'active' });
    expect(await find()).toMatchObject({ status: 'active', password_hash: otherBcrypt });
    await set("status = 'compromised'");
    await write({ email, status: 'disabled' });
    expect(await find()).toMatchObject({ status: 'disabled' });
  });

  test('is compromised again, not active, when enabled after being disabled', async () => {
    await write({ email, status: 'disabled' });
    await write({ email, password_hash: bcrypt, status: 'active' });
    expect(await find()).toMatchObject({ status: 'compromised', password_hash: bcrypt });
  });
});

describe('an invited user', () => {
  test('is active from the line on that brings a password', async () => {
    await write({ email, status: 'invited' });
    expect(await find()).toMatchObject({ status: 'invited' });
    expect(await write({ email, password_hash: bcrypt })).toMatchObject({ updated: 1 });
    expect(await find()).toMatchObject({ status: 'active', password_hash: bcrypt });
    expect(await write({ email, status: 'invited' })).toMatchObject({ unchanged: 1 });
  });

  test('may come as compromised, with the password that others know', async () => {
    await write({ email });
    await write({ email, password_hash: bcrypt, status: 'compromised' });
    expect(await find()).toMatchObject({ status: 'compromised', password_hash: bcrypt });
    expect(await write({ email, status: 'active' })).toMatchObject({ unchanged: 1 });
  });
});
