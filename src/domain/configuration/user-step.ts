import { availableParallelism } from 'node:os';
import { hashPassword, needsRehash, verifyPassword } from '#src/domain/credentials/password-hash.ts';
import { putUser, setUserStatus } from '#src/domain/users/users.ts';
import type { HashingQueue } from '#src/lib/hashing-queue.ts';
import { describeChange, type Step } from './change.ts';
import type { ConfiguredUser } from './schema.ts';
import type { StoredUser } from './state.ts';

/** By address: the users whose stored hash the file changes, with the field that says so. */
export type PasswordChanges = ReadonlyMap<string, PasswordChange>;

type PasswordChange =
  | { field: 'password'; password: string; hash?: string }
  | { field: 'password_hash'; hash: string };

/** Makes the user what the file says; what it leaves out stays. The change of a password must have its hash by then. */
export function planUser(
  user: ConfiguredUser,
  stored: StoredUser | undefined,
  password: PasswordChange | undefined,
): Step {
  const { email } = user;
  const wanted = {
    name: user.name ?? stored?.name ?? null,
    email_verified: user.email_verified ?? stored?.email_verified ?? false,
    status: user.status ?? stored?.status ?? 'active',
    roles: [...new Set(user.roles ?? stored?.roles ?? [])].sort(),
  };
  const change = describeChange('user', email, {
    stored: stored && { ...stored, roles: [...stored.roles].sort() },
    wanted: { ...wanted, ...(password ? { [password.field]: true } : {}) },
  });
  return {
    change,
    async perform(tx) {
      const { status, ...rest } = wanted;
      const id = await putUser(tx, { email, ...rest, password_hash: password?.hash });
      await setUserStatus(tx, id, status);
    },
  };
}

/**
 * Finds whose password the file changes. A password that verifies against the stored hash is the same, so the hash stays. An
 * imported hash is taken where there is none or another import, and never in place of a hash that was made here: the user has
 * signed in or chosen a new password since.
 */
export async function findPasswordChanges(
  users: readonly ConfiguredUser[],
  stored: ReadonlyMap<string, StoredUser>,
  hashing: HashingQueue,
): Promise<Map<string, PasswordChange>> {
  const changes = new Map<string, PasswordChange>();
  await inLanes(users, async ({ email, password, password_hash }) => {
    const known = stored.get(email)?.password_hash ?? null;
    if (password !== undefined) {
      const same = known !== null && (await hashing.run(() => verifyPassword(password, known)));
      if (!same) {
        changes.set(email, { field: 'password', password });
      }
    } else if (
      password_hash !== undefined &&
      (known === null || (known !== password_hash && needsRehash(known)))
    ) {
      changes.set(email, { field: 'password_hash', hash: password_hash });
    }
  });
  return changes;
}

/** The same changes with a hash for every password. */
export async function hashPasswords(
  changes: PasswordChanges,
  hashing: HashingQueue,
): Promise<PasswordChanges> {
  const hashed = new Map(changes);
  await inLanes([...changes], async ([email, change]) => {
    if (change.field === 'password') {
      const hash = await hashing.run(() => hashPassword(change.password));
      hashed.set(email, { ...change, hash });
    }
  });
  return hashed;
}

/** As many at once as have a processor, so that none waits in the queue until it is turned away. */
async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) {
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, availableParallelism() - 1) }, lane));
}
