import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { personalTables, sweepErasedUsers } from '#src/domain/users/erase.ts';
import { eraseUser } from '#src/domain/users/life-cycle.ts';
import { findUser, findUserByEmail, putUser } from '#src/domain/users/users.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements } from '#test/support/postgres.ts';

const email = 'carol@example.test';
const person = {
  email,
  email_verified: true,
  name: 'Carol Danvers',
  roles: ['admin'],
  password_hash: '$2b$x',
};

let fixture: Fixture;
let id: string;

beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());
beforeEach(async () => {
  id = await inAcme((tx) => putUser(tx, person));
});

const asSuperuser = (...statements: string[]) => runStatements(fixture.urls.superUrl, statements);
const inAcme = <T>(work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);

/** A row of the protocol store that belongs to this user, by a key that nobody else has. */
const addStored = (user_id: string, key: string) =>
  asSuperuser(
    `insert into protocol_store (tenant_id, key, model, user_id, sealed_payload, expires_at)
    values ('${fixture.acme.tenant_id}', '${key}', 'RefreshToken', '${user_id}', '', now() + interval '1 hour')`,
  );

test('no table of people is forgotten', async () => {
  const rows = await asSuperuser(
    `select distinct c.relname::text as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and (
      a.attname = 'user_id'
      or exists (
        select from pg_constraint k
        where k.contype = 'f' and k.conrelid = c.oid and k.confrelid = 'users'::regclass and a.attnum = any (k.conkey)
      )
    )
    order by 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual([...personalTables].sort());
});

test('leaves a row that names nobody, and nothing else', async () => {
  await addStored(id, 'of carol');
  await addStored(fixture.acme.users.alice, `of alice ${id}`);
  expect(await inAcme((tx) => eraseUser(tx, id))).toEqual({ ok: true });

  const [row] = await asSuperuser(`select * from users where id = '${id}'`);
  const { tenant_id: _, created_at, updated_at, sessions_valid_from, ...rest } = row!;
  expect([created_at, updated_at, sessions_valid_from]).toEqual(Array(3).fill(expect.any(Date)));
  expect(rest).toEqual({
    id,
    email: `erased-${id}@erased.invalid`,
    email_verified: false,
    failed_device_attempts: 0,
    failed_login_attempts: 0,
    last_login_at: null,
    last_login_ip: null,
    locked_until: null,
    name: null,
    password_hash: null,
    password_compromised: false,
    status: 'erased',
  });
  for (const table of personalTables) {
    expect(await asSuperuser(`select from ${table} where user_id = '${id}'`)).toEqual([]);
  }
  expect(await asSuperuser(`select from protocol_store where key = 'of alice ${id}'`)).toHaveLength(1);
  expect(await inAcme((tx) => findUser(tx, fixture.acme.users.alice))).toMatchObject({ name: 'Alice' });
});

test('twice is the same as once', async () => {
  await inAcme((tx) => eraseUser(tx, id));
  const row = () => asSuperuser(`select * from users where id = '${id}'`);
  const before = await row();
  expect(await inAcme((tx) => eraseUser(tx, id))).toEqual({ ok: true });
  expect(await row()).toEqual(before);
});

test('frees the address: who has it next is somebody else', async () => {
  await inAcme((tx) => eraseUser(tx, id));
  const next = await inAcme((tx) => putUser(tx, { ...person, name: null, roles: [] }));
  expect(next).not.toBe(id);
  expect(await inAcme((tx) => findUserByEmail(tx, email))).toMatchObject({ id: next, name: null, roles: [] });
  expect(await inAcme((tx) => findUser(tx, id))).toMatchObject({ status: 'erased' });
});

test.each([
  ['a name', "name = 'Carol'"],
  ['an address', `email = '${email}'`],
  ['a password', "password_hash = 'x'"],
  ['a verified address', 'email_verified = true'],
  ['a status', "status = 'active'"],
  ['everything', `status = 'active', email = 'new@example.test', name = 'Carol', password_hash = 'x'`],
])('no way of changing the row gives it %s again [A-197]', async (_, change) => {
  await inAcme((tx) => eraseUser(tx, id));
  await expect(asSuperuser(`update users set ${change} where id = '${id}'`)).rejects.toMatchObject({
    code: '23514',
  });
});

test('nobody else takes the address that is to stand in place of a user', async () => {
  const taken = `erased-${id}@erased.invalid`;
  await expect(inAcme((tx) => putUser(tx, { ...person, email: taken }))).rejects.toMatchObject({
    code: '23514',
  });
});

test('what a request under way wrote behind an erasure is swept', async () => {
  await addStored(id, `kept ${id}`);
  await inAcme(sweepErasedUsers);
  expect(await asSuperuser(`select from protocol_store where user_id = '${id}'`)).toHaveLength(1);
  await inAcme((tx) => eraseUser(tx, id));
  await addStored(id, `late ${id}`);
  await inAcme(sweepErasedUsers);
  expect(await asSuperuser(`select from protocol_store where user_id = '${id}'`)).toEqual([]);
});
