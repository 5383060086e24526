import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { lockoutPolicy } from '#src/domain/credentials/lockout-policy.ts';
import type { PasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { writeUsers } from '#src/domain/users/import/write-users.ts';
import { changeUserStatus } from '#src/domain/users/life-cycle.ts';
import { mendCompromisedUser, putUser, replacePasswordHash, userColumns } from '#src/domain/users/users.ts';
import { HashingBusyError } from '#src/lib/hashing-queue.ts';
import { email, ip, makeGuesses, right } from './guesses.ts';

const { free, stop, waits } = lockoutPolicy;

let guesses: Awaited<ReturnType<typeof makeGuesses>>;
beforeAll(async () => {
  guesses = await makeGuesses();
});
beforeEach(() => guesses.begin());
afterAll(() => guesses?.fixture.drop());

describe('the waits after wrong passwords', () => {
  test('are as the policy says: 30 seconds to an hour [N-15, A-091]', () => {
    expect(waits[0]).toBe(30);
    expect(waits.at(-1)).toBe(3_600);
    expect(stop).toBeLessThanOrEqual(100);
    expect(free).toBeLessThan(stop);
  });

  test('begin after the free ones, double, and stay at the longest [A-091]', async () => {
    await guesses.failTimes(free - 1);
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: free - 1, locked_until: null });
    for (const [index, wait] of [...waits, waits.at(-1)!].entries()) {
      await guesses.fail();
      const { failed_login_attempts, locked_until } = await guesses.row();
      expect(failed_login_attempts).toBe(free + index);
      expect(locked_until).toEqual(guesses.in(wait));
      const before = guesses.evaluated();
      guesses.later(wait - 1);
      expect(await guesses.attempt(right)).toEqual({ ok: false, reason: 'wrong' });
      expect(guesses.evaluated()).toBe(before);
      // What is refused counts no more and waits no longer.
      expect(await guesses.row()).toMatchObject({ failed_login_attempts, locked_until });
      guesses.later(1);
    }
    expect(await guesses.attempt(right)).toMatchObject({ ok: true });
  });

  test('refuse 20 in a row after the fifth, and the right one among them, alike [A-091]', async () => {
    const outcomes = [];
    for (let index = 0; index < 20; index++) {
      outcomes.push(await guesses.fail());
    }
    expect(guesses.evaluated()).toBe(free);
    expect(guesses.compared).toHaveLength(20);
    expect(new Set(outcomes.slice(free).map((outcome) => JSON.stringify(outcome))).size).toBe(1);
    expect(await guesses.attempt(right)).toEqual(outcomes.at(-1));
  });

  test('are told of once, when they begin [A-096]', async () => {
    const notices = [];
    for (let index = 0; index < 8; index++) {
      const outcome = await guesses.fail();
      notices.push(outcome.ok ? 'ok' : outcome.notice);
      guesses.later(3_600);
    }
    expect(notices).toEqual([...Array(free - 1), 'paused', ...Array(8 - free)]);
  });

  test('end with a right password, which says when and from where [N-15]', async () => {
    await guesses.failTimes(free);
    guesses.later(waits[0]!);
    expect(await guesses.attempt(right)).toMatchObject({ ok: true, failures_before: free, device: 'first' });
    expect(await guesses.row()).toMatchObject({
      failed_login_attempts: 0,
      locked_until: null,
      last_login_at: guesses.now,
      last_login_ip: ip,
    });
    expect(await guesses.attempt(right)).toMatchObject({ ok: true, failures_before: 0 });
  });

  test('leave nothing of themselves in the user that a right password gives', async () => {
    const outcome = await guesses.attempt(right);
    expect(Object.keys(outcome.ok ? outcome.user : {}).sort()).toEqual(
      [...userColumns, 'password_hash', 'roles'].sort(),
    );
  });

  test('are of one user: another one of the tenant signs in', async () => {
    await guesses.failTimes(free);
    expect(await guesses.attempt(right, [], { address: 'alice@example.test' })).toMatchObject({ ok: true });
  });

  test('change nothing of the user that claims tell, and end no session', async () => {
    const { updated_at, sessions_valid_from } = await guesses.row();
    await guesses.failTimes(free);
    guesses.later(waits[0]!);
    await guesses.attempt(right);
    expect(await guesses.row()).toMatchObject({ updated_at, sessions_valid_from });
  });
});

describe('an attempt counts before its password is compared [A-092, A-095, G-15]', () => {
  test('of 60 at once no more are compared than are free', async () => {
    await Promise.all(Array.from({ length: 60 }, (_, index) => guesses.attempt(`guess ${index}`)));
    expect(guesses.evaluated()).toBe(free);
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: free });
  });

  test('of 60 at once after a wait, one is', async () => {
    await guesses.setFailures(free + 2);
    await Promise.all(Array.from({ length: 60 }, (_, index) => guesses.attempt(`guess ${index}`)));
    expect(guesses.evaluated()).toBe(1);
  });

  test('of 60 at once from a known device no more than are free', async () => {
    const secret = await guesses.remember();
    await Promise.all(Array.from({ length: 60 }, (_, index) => guesses.attempt(`guess ${index}`, [secret])));
    expect(guesses.evaluated()).toBe(free);
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: free, locked_until: null });
    expect(await guesses.devices()).toMatchObject([{ failed_login_attempts: free }]);
  });

  test('and stays counted whatever breaks afterwards [C-58]', async () => {
    const broken = { ...guesses.hashing, verify: () => Promise.reject(new Error('out of memory')) };
    for (let index = 0; index < free; index++) {
      await expect(guesses.attempt(right, [], { hashing: broken })).rejects.toThrow('out of memory');
    }
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: free });
    expect(await guesses.attempt(right)).toMatchObject({ ok: false });
    expect(guesses.evaluated()).toBe(0);
  });

  test('one that was never compared, since too many waited, is given back with its wait', async () => {
    const busy = { ...guesses.hashing, verify: () => Promise.reject(new HashingBusyError(2)) };
    const secret = await guesses.remember();
    for (const [secrets, failures] of [
      [[], free - 1],
      [[], free + 3],
      [[secret], 3],
    ] as const) {
      await guesses.setFailures(failures);
      await expect(guesses.attempt(right, [...secrets], { hashing: busy })).rejects.toThrow(HashingBusyError);
      expect(await guesses.row()).toMatchObject({
        failed_login_attempts: failures,
        failed_device_attempts: 0,
        locked_until: null,
      });
      expect(await guesses.devices()).toMatchObject([{ failed_login_attempts: 0, locked_until: null }]);
    }
  });

  test('those given back let no more be compared than are free, in whatever order', async () => {
    let turn = 0;
    const sometimesBusy: PasswordHashing = {
      ...guesses.hashing,
      async verify(typed, stored) {
        turn += 1;
        if (turn % 3 !== 0) {
          throw new HashingBusyError(2);
        }
        return guesses.hashing.verify(typed, stored);
      },
    };
    const results = await Promise.allSettled(
      Array.from({ length: 120 }, () => guesses.attempt('wrong', [], { hashing: sometimesBusy })),
    );
    expect(results.some(({ status }) => status === 'rejected')).toBe(true);
    expect(guesses.evaluated()).toBeLessThanOrEqual(free);
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: guesses.evaluated() });
  });

  test('one given back after a success takes nothing from the count that began anew', async () => {
    const slowlyBusy: PasswordHashing = {
      ...guesses.hashing,
      async verify() {
        guesses.later(1);
        await guesses.attempt(right);
        await guesses.fail();
        throw new HashingBusyError(2);
      },
    };
    await expect(guesses.attempt('wrong', [], { hashing: slowlyBusy })).rejects.toThrow(HashingBusyError);
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: 1 });
  });
});

describe('the hard stop [N-13, A-098]', () => {
  test('comes after so many in a row, however far apart, and holds for the right password', async () => {
    const secret = await guesses.remember();
    const notices = [];
    for (let index = 0; index < stop + 3; index++) {
      const outcome = await guesses.fail();
      notices.push(outcome.ok ? 'ok' : outcome.notice);
      guesses.later(waits.at(-1)!);
    }
    expect(guesses.evaluated()).toBe(stop);
    expect(notices.flatMap((notice, index) => (notice ? [[index + 1, notice]] : []))).toEqual([
      [free, 'paused'],
      [stop, 'stopped'],
    ]);
    guesses.later(10 * 365 * 24 * 3_600);
    for (const secrets of [[], [secret]]) {
      expect(await guesses.attempt(right, secrets)).toEqual({ ok: false, reason: 'wrong' });
    }
    expect(guesses.evaluated()).toBe(stop);
  });

  test('counts what fails on known devices, too', async () => {
    await guesses.setFailures(stop - 2);
    const secret = await guesses.remember();
    expect(await guesses.fail([secret])).toMatchObject({ ok: false });
    expect(await guesses.fail()).toMatchObject({ ok: false, notice: 'stopped' });
    guesses.later(waits.at(-1)!);
    expect(await guesses.attempt(right, [secret])).toEqual({ ok: false, reason: 'wrong' });
  });

  test('the last try before it may be the right one', async () => {
    await guesses.setFailures(stop - 1);
    expect(await guesses.attempt(right)).toMatchObject({ ok: true, failures_before: stop - 1 });
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: 0 });
  });

  const another = '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$of-another-password';
  const user = { email, email_verified: true, name: 'Carol', roles: [] };
  test.each<[string, () => Promise<unknown>]>([
    [
      'a file that is applied',
      () => guesses.inTenant((tx) => putUser(tx, { ...user, password_hash: another })),
    ],
    [
      'its owner, who is compromised',
      async () => {
        await guesses.inTenant((tx) => changeUserStatus(tx, guesses.id, 'compromised'));
        await guesses.inTenant((tx) =>
          mendCompromisedUser(tx, guesses.id, { from: guesses.hash, to: another }),
        );
      },
    ],
    [
      'an import',
      async () => {
        const imported = '$2b$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu';
        await guesses.inTenant((tx) =>
          tx.updateTable('users').set({ password_hash: imported }).where('id', '=', guesses.id).execute(),
        );
        await guesses.inTenant((tx) =>
          writeUsers(tx, [{ email, password_hash: `${imported.slice(0, -1)}v` }]),
        );
      },
    ],
  ])('is lifted by another password, from %s', async (_, store) => {
    await guesses.setFailures(stop);
    await guesses.remember();
    await store();
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: 0, failed_device_attempts: 0 });
    expect(await guesses.devices()).toEqual([]);
    expect(await guesses.attempt(right)).toMatchObject({ ok: true });
  });

  test('is not lifted by another hash of the same password, or by a change of anything else', async () => {
    await guesses.setFailures(stop);
    await guesses.inTenant((tx) => replacePasswordHash(tx, guesses.id, { from: guesses.hash, to: another }));
    await guesses.inTenant((tx) => putUser(tx, { ...user, name: 'Caroline' }));
    await guesses.inTenant((tx) => writeUsers(tx, [{ email, name: 'Carol' }]));
    await guesses.inTenant((tx) => changeUserStatus(tx, guesses.id, 'disabled'));
    await guesses.inTenant((tx) => changeUserStatus(tx, guesses.id, 'active'));
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: stop });
    expect(await guesses.attempt(right)).toEqual({ ok: false, reason: 'wrong' });
  });
});
