import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { rememberDevice } from '#src/domain/credentials/known-devices.ts';
import { dummyHash, hashPassword } from '#src/domain/credentials/password-hash.ts';
import type { PasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { verifyUserPassword } from '#src/domain/credentials/verify-user-password.ts';
import { putUser } from '#src/domain/users/users.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { createFixture } from '#test/support/fixture.ts';

export const email = 'carol@example.test';
export const right = 'vexed gnu quilt';
export const ip = '192.0.2.1';

const start = Date.parse('2031-05-01T12:00:00Z');

/** A database with carol, whose password is guessed at times that the test sets. */
export async function makeGuesses() {
  const fixture = await createFixture();
  const hash = await hashPassword(right);
  const inTenant = <T>(work: (tx: TenantTx) => Promise<T>) =>
    withTenant(fixture.db, fixture.acme.tenant_id, work);

  const state = {
    id: '',
    now: new Date(start),
    /** What passwords were compared with. */
    compared: [] as string[],
  };
  /** Compares texts, since what is proven is how often anything is compared. */
  const plainHashing: PasswordHashing = {
    hash: hashPassword,
    async verify(typed, stored) {
      state.compared.push(stored);
      return stored !== dummyHash && typed === right ? 'right' : 'wrong';
    },
    isOutdated: () => false,
    load: makeHashingQueue({ concurrency: 1, maxWaiting: 0, maxWaitMs: 0 }),
  };
  const inSeconds = (seconds: number) => new Date(state.now.getTime() + seconds * 1_000);
  const attempt = (
    password: string,
    device_secrets: string[] = [],
    { hashing = plainHashing, address = email } = {},
  ) =>
    verifyUserPassword(
      { hashing, inTenant, now: state.now },
      { email: address, password, device_secrets, ip },
    );
  const fail = (device_secrets: string[] = []) => attempt('wrong', device_secrets);

  return Object.assign(state, {
    fixture,
    hash,
    inTenant,
    hashing: plainHashing,
    attempt,
    fail,
    in: inSeconds,
    /** Makes carol anew, at the same time as every test. */
    async begin() {
      state.now = new Date(start);
      state.compared = [];
      state.id = await inTenant(async (tx) => {
        await tx.deleteFrom('users').where('email', '=', email).execute();
        const user = { email, email_verified: true, name: 'Carol', password_hash: hash, roles: [] };
        return putUser(tx, user);
      });
    },
    async failTimes(count: number, device_secrets: string[] = []) {
      for (let index = 0; index < count; index++) {
        await fail(device_secrets);
      }
    },
    later(seconds: number) {
      state.now = inSeconds(seconds);
    },
    /** How often anything was compared with carol's hash. */
    evaluated: () => state.compared.filter((stored) => stored !== dummyHash).length,
    row: () =>
      inTenant((tx) =>
        tx.selectFrom('users').selectAll().where('id', '=', state.id).executeTakeFirstOrThrow(),
      ),
    devices: () =>
      inTenant((tx) => tx.selectFrom('known_devices').selectAll().where('user_id', '=', state.id).execute()),
    remember: (known: string[] = []) => inTenant((tx) => rememberDevice(tx, state.id, { known }, state.now)),
    /** As after so many failures of strangers whose last wait is over. */
    setFailures: (failed_login_attempts: number) =>
      inTenant((tx) =>
        tx
          .updateTable('users')
          .set({ failed_login_attempts, locked_until: null })
          .where('id', '=', state.id)
          .execute(),
      ),
  });
}
