import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { rememberDevice } from '#src/domain/credentials/known-devices.ts';
import { lockoutPolicy } from '#src/domain/credentials/lockout-policy.ts';
import { changeUserStatus } from '#src/domain/users/life-cycle.ts';
import { mendCompromisedUser } from '#src/domain/users/users.ts';
import { makeGuesses, right } from './guesses.ts';

const { free, waits } = lockoutPolicy;

let guesses: Awaited<ReturnType<typeof makeGuesses>>;
beforeAll(async () => {
  guesses = await makeGuesses();
});
beforeEach(() => guesses.begin());
afterAll(() => guesses?.fixture.drop());

describe('a known device [A-096]', () => {
  test('lets its owner in while strangers wait, and ends their count', async () => {
    const secret = await guesses.remember();
    await guesses.failTimes(40);
    expect(await guesses.attempt(right)).toMatchObject({ ok: false });
    expect(await guesses.attempt(right, [secret])).toMatchObject({
      ok: true,
      device: 'known',
      failures_before: free,
    });
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: 0, locked_until: null });
  });

  test('has waits of its own, and does not lengthen those of strangers', async () => {
    const secret = await guesses.remember();
    await guesses.failTimes(free, [secret]);
    const [device] = await guesses.devices();
    expect(device).toMatchObject({
      failed_login_attempts: free,
      locked_until: guesses.in(waits[0]!),
    });
    expect(await guesses.attempt(right, [secret])).toEqual({ ok: false, reason: 'wrong' });
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: free, locked_until: null });
    await guesses.failTimes(free - 1);
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: 2 * free - 1, locked_until: null });
    await guesses.fail();
    expect(await guesses.row()).toMatchObject({ locked_until: guesses.in(waits[0]!) });
    guesses.later(waits[0]!);
    expect(await guesses.attempt(right, [secret])).toMatchObject({ ok: true, device: 'known' });
    expect(await guesses.devices()).toMatchObject([
      { failed_login_attempts: 0, locked_until: null, last_seen_at: guesses.now },
    ]);
  });

  test('keeps its own count when its owner signs in elsewhere [N-15]', async () => {
    const secret = await guesses.remember();
    await guesses.failTimes(3, [secret]);
    expect(await guesses.attempt(right)).toMatchObject({ ok: true, device: 'new', failures_before: 3 });
    expect(await guesses.devices()).toMatchObject([{ failed_login_attempts: 3 }]);
    expect(await guesses.fail([secret])).toMatchObject({ ok: false });
    expect(await guesses.row()).toMatchObject({ failed_login_attempts: 1, failed_device_attempts: 1 });
  });

  test('is known for one user only', async () => {
    const secret = await guesses.remember();
    const { alice } = guesses.fixture.acme.users;
    const other = await guesses.inTenant((tx) => rememberDevice(tx, alice, { known: [secret] }, guesses.now));
    expect(other).not.toBe(secret);
    await guesses.failTimes(free);
    expect(await guesses.attempt(right, [other])).toMatchObject({ ok: false });
    expect(await guesses.attempt(right, [other, secret])).toMatchObject({ ok: true });
  });

  test('is stored as a hash, and no secret of somebody else’s making becomes one [A-089]', async () => {
    const planted = 'x'.repeat(43);
    const secret = await guesses.remember([planted]);
    expect(secret).not.toBe(planted);
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect(await guesses.remember([planted, secret])).toBe(secret);
    const stored = JSON.stringify(await guesses.devices());
    for (const text of [secret, planted]) {
      expect(stored).not.toContain(text);
      expect(stored).not.toContain(JSON.stringify([...Buffer.from(text, 'base64url')]).slice(1, -1));
    }
    expect(await guesses.devices()).toHaveLength(1);
  });

  test('gives way to the eleventh when it is the one longest unseen', async () => {
    const first = await guesses.remember();
    guesses.later(1);
    const second = await guesses.remember();
    for (let index = 0; index < 8; index++) {
      guesses.later(1);
      await guesses.remember();
    }
    guesses.later(1);
    expect(await guesses.remember([first])).toBe(first);
    guesses.later(1);
    await guesses.remember();
    expect(await guesses.devices()).toHaveLength(10);
    expect(await guesses.remember([second])).not.toBe(second);
    expect(await guesses.remember([first])).toBe(first);
  });

  test('is the only one left after its owner has chosen another password on it', async () => {
    await guesses.inTenant((tx) => changeUserStatus(tx, guesses.id, 'compromised'));
    const [current, other] = [await guesses.remember(), await guesses.remember()];
    await guesses.inTenant((tx) =>
      mendCompromisedUser(tx, guesses.id, { from: guesses.hash, to: 'another', device: current }),
    );
    expect(await guesses.devices()).toHaveLength(1);
    expect(await guesses.remember([current])).toBe(current);
    expect(await guesses.remember([other])).not.toBe(other);
  });
});
