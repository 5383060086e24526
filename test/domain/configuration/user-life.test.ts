import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { exportConfiguration } from '#src/domain/configuration/export.ts';
import { eraseUser } from '#src/domain/users/life-cycle.ts';
import { eventually } from '#test/support/eventually.ts';
import { isSomebodyWaiting } from '#test/support/import.ts';
import { actions, type Fixture, makeFixture, password } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeFixture();
});
afterAll(() => fixture.close());

const bob = (slug: string, fields: object = {}) => ({
  tenants: [{ slug, users: [{ email: `bob@${slug}.test`, ...fields }] }],
});
const find = (slug: string) => fixture.userOf(slug, `bob@${slug}.test`);

test('a user without a password is invited, and active as soon as a file gives one', async () => {
  await fixture.apply(bob('begun'));
  const { id, status } = await find('begun');
  expect(status).toBe('invited');
  expect(actions((await fixture.apply(bob('begun', { status: 'invited' }))).changes)).toEqual(['unchanged']);
  const { changes } = await fixture.apply(bob('begun', { password }));
  expect(changes.at(-1)).toMatchObject({ action: 'update', fields: ['status', 'password'] });
  expect(await find('begun')).toMatchObject({ id, status: 'active' });
  // The file that invited takes nobody back.
  expect(actions((await fixture.apply(bob('begun', { status: 'invited' }))).changes)).toEqual(['unchanged']);
});

test('a file erases a user once, and plans it as what it is', async () => {
  await fixture.apply(bob('gone', { name: 'Bob', password }));
  const { id } = await find('gone');
  const file = bob('gone', { status: 'erased' });
  const erasure = { action: 'erase', kind: 'user', tenant: 'gone', name: 'bob@gone.test' };
  expect((await fixture.plan(file)).at(-1)).toEqual(erasure);
  expect((await fixture.apply(file)).changes.at(-1)).toEqual(erasure);
  expect(await find('gone')).toBeUndefined();
  const [row] = await fixture.asSuperuser(`select status, name from users where id = '${id}'`);
  expect(row).toEqual({ status: 'erased', name: null });
  expect(actions(await fixture.plan(file))).toEqual(['unchanged']);
  expect(actions((await fixture.apply(file)).changes)).toEqual(['unchanged']);
});

test('who has the address after an erasure is somebody else', async () => {
  await fixture.apply(bob('next', { name: 'Bob', password, email_verified: true }));
  const { id } = await find('next');
  await fixture.apply(bob('next', { status: 'erased' }));
  expect((await fixture.apply(bob('next'))).changes.at(-1)).toMatchObject({ action: 'create' });
  const next = await find('next');
  expect(next).toMatchObject({ name: null, email_verified: false, status: 'invited', password_hash: null });
  expect(next.id).not.toBe(id);
});

test('an address that was never there is erased already', async () => {
  expect(actions((await fixture.apply(bob('never', { status: 'erased' }))).changes)).toContain('unchanged');
  expect(await find('never')).toBeUndefined();
});

test('a user who is to be erased has no other field, and who is invited no password', () => {
  expect(() => fixture.plan(bob('both', { status: 'erased', name: 'Bob' }))).toThrow(
    'tenants[0].users[0].status: erased stands beside the e-mail address alone',
  );
  expect(() => fixture.plan(bob('both', { status: 'invited', password }))).toThrow(
    'tenants[0].users[0].status: must not be invited together with a password',
  );
});

test('disabled and enabled again by files, a user whose password others know is compromised [A-088]', async () => {
  await fixture.apply(bob('known', { password }));
  await fixture.apply(bob('known', { status: 'compromised' }));
  await fixture.apply(bob('known', { status: 'disabled' }));
  await fixture.apply(bob('known', { password, status: 'active' }));
  expect((await find('known')).status).toBe('compromised');
  await fixture.apply(bob('known', { status: 'disabled' }));
  const exported = await exportConfiguration(fixture.db, 'known', { withPasswordHashes: true });
  expect(JSON.stringify(exported)).not.toContain('$argon2');
});

test('an export shows every state, and nothing of the erased', async () => {
  const users = (['invited', 'disabled', 'compromised', 'erased'] as const).map((status) => ({
    email: `${status}@states.test`,
    ...(status === 'invited' ? { status } : { password }),
  }));
  const active = { email: 'active@states.test', password };
  const keyless = { email: 'keyless@states.test', status: 'active' };
  await fixture.apply({ tenants: [{ slug: 'states', users: [active, keyless, ...users] }] });
  await fixture.apply({
    tenants: [
      {
        slug: 'states',
        users: (['disabled', 'compromised', 'erased'] as const).map((status) => ({
          email: `${status}@states.test`,
          status,
        })),
      },
    ],
  });
  expect(await exportConfiguration(fixture.db, 'states')).toEqual({
    tenants: [
      {
        slug: 'states',
        name: 'states',
        users: [
          { email: 'active@states.test' },
          { email: 'compromised@states.test', status: 'compromised' },
          { email: 'disabled@states.test', status: 'disabled' },
          { email: 'invited@states.test', status: 'invited' },
          { email: 'keyless@states.test', status: 'active' },
        ],
      },
    ],
  });
});

test.each([
  ['leaves all else out', {}, { name: null, email_verified: false, status: 'invited', roles: [] }],
  ['has the same password', { password }, { name: null, email_verified: false, status: 'active', roles: [] }],
])('a file that %s and waits for an erasure makes somebody else [A-197]', async (_, fields, expected) => {
  const slug = `waits-${Object.keys(fields).length}`;
  const person = { name: 'Bob', password, email_verified: true, roles: ['admin'] };
  await fixture.apply({
    tenants: [{ slug, roles: [{ name: 'admin' }], users: [{ email: `bob@${slug}.test`, ...person }] }],
  });
  const { id } = await find(slug);
  // An object, since the transaction would wait for a promise that it gives.
  const { applied } = await withTenant(fixture.db, await fixture.tenantId(slug), async (tx) => {
    await eraseUser(tx, id);
    const applied = fixture.apply(bob(slug, fields));
    applied.catch(() => {});
    await eventually(() => isSomebodyWaiting(fixture));
    return { applied };
  });
  expect((await applied).changes.at(-1)).toMatchObject({ action: 'create', kind: 'user' });
  const next = await find(slug);
  expect(next).toMatchObject(expected);
  expect(next.password_hash !== null).toBe('password' in fields);
  expect(next.id).not.toBe(id);
});
