import { availableParallelism } from 'node:os';
import type { PasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { takesImportedHash } from '#src/domain/users/imported-hash.ts';
import { eraseUser, settleStatus } from '#src/domain/users/life-cycle.ts';
import { putUser } from '#src/domain/users/users.ts';
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
  const { email, status } = user;
  if (status === 'erased') {
    return planErasure(email, stored);
  }
  const wanted = {
    name: user.name ?? stored?.name ?? null,
    email_verified: user.email_verified ?? stored?.email_verified ?? false,
    status: settleStatus(stored, { status, newPassword: password !== undefined }),
    roles: [...new Set(user.roles ?? stored?.roles ?? [])].sort(),
  };
  const change = describeChange('user', email, {
    stored: stored && { ...stored, roles: [...stored.roles].sort() },
    wanted: { ...wanted, ...(password ? { [password.field]: true } : {}) },
  });
  return {
    change,
    async perform(tx) {
      await putUser(tx, { email, ...wanted, password_hash: password?.hash });
    },
  };
}

/** An address that nobody has any more is as the file wants it. */
function planErasure(email: string, stored: StoredUser | undefined): Step {
  return {
    change: { action: stored ? 'erase' : 'unchanged', kind: 'user', name: email },
    async perform(tx) {
      if (stored) {
        await eraseUser(tx, stored.id);
      }
    },
  };
}

/**
 * Finds whose password the file changes. A password that verifies against the stored hash is the same, so the hash stays; an
 * imported hash never replaces one that was made here.
 */
export async function findPasswordChanges(
  users: readonly ConfiguredUser[],
  stored: ReadonlyMap<string, StoredUser>,
  hashing: PasswordHashing,
): Promise<Map<string, PasswordChange>> {
  const changes = new Map<string, PasswordChange>();
  await inLanes(users, async ({ email, password, password_hash }) => {
    const known = stored.get(email)?.password_hash ?? null;
    if (password !== undefined) {
      const same = known !== null && (await hashing.verify(password, known)) === 'right';
      if (!same) {
        changes.set(email, { field: 'password', password });
      }
    } else if (password_hash !== undefined && takesImportedHash(known, password_hash)) {
      changes.set(email, { field: 'password_hash', hash: password_hash });
    }
  });
  return changes;
}

/** The same changes with a hash for every password. */
export async function hashPasswords(
  changes: PasswordChanges,
  hashing: PasswordHashing,
): Promise<PasswordChanges> {
  const hashed = new Map(changes);
  await inLanes([...changes], async ([email, change]) => {
    if (change.field === 'password') {
      const hash = await hashing.hash(change.password);
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
