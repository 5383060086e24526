import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hash as argon2 } from '@node-rs/argon2';
import bcrypt from 'bcryptjs';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { dummyHash, hashPassword } from '#src/domain/credentials/password-hash.ts';
import { makePasswordHashing, type PasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { verifyUserPassword } from '#src/domain/credentials/verify-user-password.ts';
import { eraseUser, type WantedStatus } from '#src/domain/users/life-cycle.ts';
import { findUserByEmail, putUser } from '#src/domain/users/users.ts';
import { HashingBusyError, makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';

const password = 'vexed gnu quilt';
const email = 'carol@example.test';
const queue = makeHashingQueue({ concurrency: 2, maxWaiting: 20, maxWaitMs: 30_000 });
const plainHashing = makePasswordHashing(queue);

let fixture: Fixture;
beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());

const inTenant = <T>(work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);

/** Makes carol a user with this hash and status. */
function putCarol(password_hash: string | undefined, status: WantedStatus = 'active') {
  return inTenant(async (tx) => {
    await tx.deleteFrom('users').where('email', '=', email).execute();
    const user = { email, email_verified: true, name: 'Carol', password_hash, roles: [] };
    return putUser(tx, { ...user, status });
  });
}

async function eraseCarol() {
  const id = await putCarol(await hashPassword(password));
  expect(await inTenant((tx) => eraseUser(tx, id))).toEqual({ ok: true });
}

const storedHash = async () => (await inTenant((tx) => findUserByEmail(tx, email)))?.password_hash;

const signIn = (typed = password, hashing: PasswordHashing = plainHashing, address = email) =>
  verifyUserPassword(
    { hashing, inTenant, now: new Date() },
    { email: address, password: typed, device_secrets: [], ip: '192.0.2.1' },
  );

const weak = { algorithm: 2, memoryCost: 8_192, timeCost: 1, parallelism: 1 };

describe('after a sign-in an outdated hash gives way to one of today [H-01]', () => {
  test.each([
    ['bcrypt', () => bcrypt.hash(password, 10)],
    ['argon2id of less memory', () => argon2(password, weak)],
  ])('%s', async (_, hash) => {
    await putCarol(await hash());
    expect(await signIn()).toMatchObject({ ok: true, user: { email } });
    const upgraded = await storedHash();
    expect(upgraded).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await signIn()).toMatchObject({ ok: true, user: { password_hash: upgraded } });
    expect(await storedHash()).toBe(upgraded);
    expect(await signIn(`${password} `)).toMatchObject({ ok: false, reason: 'wrong' });
  });

  test('with the newest pepper, and the next one after that [N-12]', async () => {
    const { createSecretKey, randomBytes } = await import('node:crypto');
    const [older, newer] = ['a', 'b'].map((id) => ({ id, key: createSecretKey(randomBytes(32)) }));
    await putCarol(await hashPassword(password));
    await signIn(password, makePasswordHashing(queue, { peppers: [older!] }));
    expect(await storedHash()).toMatch(/^pepper=a:/);
    await signIn(password, makePasswordHashing(queue, { peppers: [newer!, older!] }));
    expect(await storedHash()).toMatch(/^pepper=b:/);
    const last = makePasswordHashing(queue, { peppers: [newer!] });
    expect(await signIn(password, last)).toMatchObject({ ok: true });
    expect(await signIn(password)).toMatchObject({ ok: false, reason: 'wrong' });
  });

  test('and not after a wrong password', async () => {
    const stored = await bcrypt.hash(password, 10);
    await putCarol(stored);
    expect(await signIn('vexed gnu quill')).toMatchObject({ ok: false, reason: 'wrong' });
    expect(await storedHash()).toBe(stored);
  });

  test('never in place of a hash that came meanwhile', async () => {
    const stored = await bcrypt.hash(password, 10);
    const other = await hashPassword('another vexed gnu');
    await putCarol(stored);
    const hashing: PasswordHashing = {
      ...plainHashing,
      async hash(text) {
        await inTenant((tx) =>
          tx.updateTable('users').set({ password_hash: other }).where('email', '=', email).execute(),
        );
        return plainHashing.hash(text);
      },
    };
    expect(await signIn(password, hashing)).toMatchObject({ ok: true, user: { password_hash: stored } });
    expect(await storedHash()).toBe(other);
  });

  test('and when too many hash at once, at the next sign-in', async () => {
    const stored = await bcrypt.hash(password, 10);
    await putCarol(stored);
    const busy = { ...plainHashing, hash: () => Promise.reject(new HashingBusyError(2)) };
    expect(await signIn(password, busy)).toMatchObject({ ok: true });
    expect(await storedHash()).toBe(stored);
  });
});

describe('more than 72 bytes against an imported bcrypt hash [H-02, A-085]', () => {
  const first72 = 'ü'.repeat(36);

  test('are refused, and whoever knows the first 72 hears why', async () => {
    const stored = await bcrypt.hash(first72, 10);
    await putCarol(stored);
    expect(await signIn(`${first72}!`)).toMatchObject({ ok: false, reason: 'too_long_for_import' });
    expect(await storedHash()).toBe(stored);
    expect(await signIn(first72)).toMatchObject({ ok: true });
    expect(await signIn(`${first72}!`)).toMatchObject({ ok: false, reason: 'wrong' });
  });

  test('tell nobody else that there is such a hash [A-089]', async () => {
    await putCarol(await bcrypt.hash(first72, 10));
    expect(await signIn(`x${first72}`)).toMatchObject({ ok: false, reason: 'wrong' });
    await putCarol(await bcrypt.hash(first72, 10), 'disabled');
    expect(await signIn(`${first72}!`)).toMatchObject({ ok: false, reason: 'wrong' });
  });
});

describe('unknown, disabled and passwordless users [H-04, A-089, A-090]', () => {
  /** Which hashes are verified against, and how often a hash is made. */
  function watch() {
    const seen: string[] = [];
    const hashing: PasswordHashing = {
      ...plainHashing,
      verify(typed, stored) {
        seen.push(stored);
        return plainHashing.verify(typed, stored);
      },
      hash(typed) {
        seen.push('made');
        return plainHashing.hash(typed);
      },
    };
    return { seen, hashing };
  }

  test.each([
    ['unknown', async () => {}, 'nobody@example.test'],
    ['disabled', async () => putCarol(await hashPassword(password), 'disabled'), email],
    ['passwordless', () => putCarol(undefined), email],
    ['invited', () => putCarol(undefined, 'invited'), email],
    ['erased', eraseCarol, email],
    ['passwordless and compromised', () => putCarol(undefined, 'compromised'), email],
  ])('%s: one verification of the dummy, and the answer to a wrong password', async (_, prepare, address) => {
    await prepare();
    const { seen, hashing } = watch();
    expect(await signIn(password, hashing, address)).toMatchObject({ ok: false, reason: 'wrong' });
    expect(seen).toEqual([dummyHash]);
  });

  test('an address that is none costs the same', async () => {
    const { seen, hashing } = watch();
    const now = new Date();
    expect(
      await verifyUserPassword(
        { hashing, inTenant, now },
        { email: undefined, password, device_secrets: [], ip: '192.0.2.1' },
      ),
    ).toEqual({ ok: false, reason: 'wrong' });
    expect(seen).toEqual([dummyHash]);
  });

  test('a known user with a wrong password costs one verification, too', async () => {
    const stored = await hashPassword(password);
    await putCarol(stored);
    const { seen, hashing } = watch();
    expect(await signIn('vexed gnu quill', hashing)).toMatchObject({ ok: false, reason: 'wrong' });
    expect(seen).toEqual([stored]);
  });
});

test('a compromised user is known by the old password, and by no other [A-088]', async () => {
  await putCarol(await hashPassword(password), 'compromised');
  expect(await signIn()).toMatchObject({ ok: true, user: { status: 'compromised' } });
  expect(await signIn('vexed gnu quill')).toMatchObject({ ok: false, reason: 'wrong' });
});
