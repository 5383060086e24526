import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import {
  changeUserStatus,
  mayBecome,
  settleStatus,
  type UserStatus,
  userStatuses,
  type WantedStatus,
} from '#src/domain/users/life-cycle.ts';
import { mendCompromisedUser, putUser, replacePasswordHash } from '#src/domain/users/users.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements } from '#test/support/postgres.ts';

const email = 'carol@example.test';
const person = { email, email_verified: true, name: 'Carol', roles: [] };
const [hash, otherHash] = ['$2b$12$one', '$2b$12$other'];

/** The life of a user, written down a second time. */
const allowed: Record<UserStatus, UserStatus[]> = {
  invited: ['active', 'disabled', 'compromised', 'erased'],
  active: ['disabled', 'compromised', 'erased'],
  disabled: ['active', 'compromised', 'erased'],
  // Active only with another password.
  compromised: ['disabled', 'erased'],
  erased: [],
};
const pairs = userStatuses.flatMap((from) => userStatuses.map((to) => [from, to] as const));

let fixture: Fixture;
let id: string;

beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());
beforeEach(() =>
  asSuperuser(`delete from users where email = '${email}'`, `delete from users where status = 'erased'`),
);

const asSuperuser = (...statements: string[]) => runStatements(fixture.urls.superUrl, statements);
const inAcme = <T>(work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);
const move = (to: UserStatus) => inAcme((tx) => changeUserStatus(tx, id, to));
const read = async () => (await asSuperuser(`select * from users where id = '${id}'`))[0]!;

/** Makes carol a user in this status, as somebody comes into it. */
async function begin(status: UserStatus) {
  id = await inAcme((tx) =>
    putUser(tx, status === 'invited' ? person : { ...person, password_hash: hash, status: 'active' }),
  );
  expect(await move(status)).toEqual({ ok: true });
  expect(await read()).toMatchObject({
    status,
    sessions_valid_from: ['invited', 'active'].includes(status) ? null : expect.any(Date),
  });
}

describe('every pair of states', () => {
  test.each(pairs)('%s to %s', async (from, to) => {
    await begin(from);
    const before = await read();
    const may = from === to || allowed[from].includes(to);
    expect(await move(to)).toEqual(may ? { ok: true } : { ok: false, reason: 'not_allowed' });
    const after = await read();
    if (!may || from === to) {
      expect(after).toEqual(before);
    } else {
      // Sessions of before are over, and stay so.
      expect(after).toMatchObject({ status: to, sessions_valid_from: expect.any(Date) });
    }
  });

  test.each(pairs.filter(([from, to]) => from !== to))('%s to %s in the row itself', async (from, to) => {
    await begin(from);
    const emptied = `email = 'erased-' || id || '@erased.invalid', name = null, email_verified = false, password_compromised = false`;
    const change =
      to === 'erased'
        ? `${emptied}, password_hash = null`
        : to === 'invited'
          ? 'password_hash = null'
          : 'name = name';
    const moving = asSuperuser(`update users set status = '${to}', ${change} where id = '${id}'`);
    if (allowed[from].includes(to)) {
      await moving;
      expect(await read()).toMatchObject({ status: to });
    } else {
      await expect(moving).rejects.toMatchObject({ code: '23514' });
      expect(await read()).toMatchObject({ status: from });
    }
  });
});

test('a user who is not there is not found', async () => {
  id = crypto.randomUUID();
  for (const status of userStatuses) {
    expect(await move(status)).toEqual({ ok: false, reason: 'not_found' });
  }
});

describe('a password that others know [A-088, N-06]', () => {
  beforeEach(() => begin('compromised'));

  test('makes nobody active again, not by way of disabled either', async () => {
    expect(await move('active')).toEqual({ ok: false, reason: 'not_allowed' });
    expect(await move('disabled')).toEqual({ ok: true });
    expect(await move('active')).toEqual({ ok: false, reason: 'not_allowed' });
    await expect(asSuperuser(`update users set status = 'active' where id = '${id}'`)).rejects.toMatchObject({
      code: '23514',
    });
    expect(await move('compromised')).toEqual({ ok: true });
  });

  test('stays known when its hash is made anew', async () => {
    expect(await inAcme((tx) => replacePasswordHash(tx, id, { from: hash, to: otherHash }))).toBe(true);
    expect(await move('active')).toEqual({ ok: false, reason: 'not_allowed' });
  });

  test('gives way to another one', async () => {
    const mended = await inAcme((tx) => mendCompromisedUser(tx, id, { from: hash, to: otherHash }));
    expect(mended).toMatchObject({ id, status: 'active' });
    await move('disabled');
    expect(await move('active')).toEqual({ ok: true });
  });

  test('gives way to another one that somebody else gave', async () => {
    await move('disabled');
    await inAcme((tx) => putUser(tx, { ...person, password_hash: otherHash, status: 'active' }));
    expect(await read()).toMatchObject({ id, status: 'active', password_hash: otherHash });
  });
});

describe('an invited user', () => {
  test('is who is made without a password, and has none', async () => {
    await begin('invited');
    await expect(
      asSuperuser(`update users set password_hash = '${hash}' where id = '${id}'`),
    ).rejects.toMatchObject({ code: '23514' });
  });

  test('becomes active together with a password', async () => {
    await begin('invited');
    await inAcme((tx) => putUser(tx, { ...person, password_hash: hash, status: 'active' }));
    expect(await read()).toMatchObject({ id, status: 'active', password_hash: hash });
  });
});

describe('where a file leads', () => {
  const leaked = true;
  const cases: [UserStatus | 'nobody', boolean, WantedStatus | undefined, boolean, WantedStatus][] = [
    // From, with a password that others know; what the file says, with another password; where it ends.
    ['nobody', false, undefined, false, 'invited'],
    ['nobody', false, undefined, true, 'active'],
    ['nobody', false, 'active', false, 'active'],
    ['nobody', false, 'disabled', true, 'disabled'],
    ['nobody', false, 'compromised', true, 'compromised'],
    ['invited', false, undefined, false, 'invited'],
    ['invited', false, undefined, true, 'active'],
    ['invited', false, 'invited', false, 'invited'],
    ['invited', false, 'disabled', true, 'disabled'],
    ['invited', false, 'compromised', true, 'compromised'],
    ['active', false, undefined, false, 'active'],
    ['active', false, 'invited', false, 'active'],
    ['active', false, 'compromised', false, 'compromised'],
    ['disabled', false, undefined, true, 'disabled'],
    ['disabled', false, 'invited', false, 'disabled'],
    ['disabled', false, 'active', false, 'active'],
    ['disabled', leaked, 'active', false, 'compromised'],
    ['disabled', leaked, 'active', true, 'active'],
    ['compromised', leaked, undefined, true, 'compromised'],
    ['compromised', leaked, 'active', false, 'compromised'],
    ['compromised', leaked, 'active', true, 'active'],
    ['compromised', leaked, 'disabled', false, 'disabled'],
  ];
  test.each(cases)(
    '%s (known password: %s), file says %s (password: %s): %s',
    (from, known, status, newPassword, end) => {
      const stored = from === 'nobody' ? undefined : { status: from, password_compromised: known };
      expect(settleStatus(stored, { status, newPassword })).toBe(end);
    },
  );

  test('is never where the life of a user does not go', () => {
    for (const from of userStatuses.filter((status) => status !== 'erased')) {
      for (const password_compromised of from === 'compromised' ? [true] : [false, from === 'disabled']) {
        for (const newPassword of [false, true]) {
          for (const status of [undefined, 'invited', 'active', 'disabled', 'compromised'] as const) {
            const stored = { status: from, password_compromised };
            expect(mayBecome(stored, settleStatus(stored, { status, newPassword }), { newPassword })).toBe(
              true,
            );
          }
        }
      }
    }
  });
});
