import type { TenantTx } from '#src/database/tenant.ts';
import { findUserByEmail, type User } from '#src/domain/users/users.ts';
import type { HashingQueue } from '#src/lib/hashing-queue.ts';
import { dummyHash, verifyPassword } from './password-hash.ts';

export interface VerifyDependencies {
  hashing: HashingQueue;
  /** Runs a short transaction: none is held while a password is hashed. */
  read<T>(work: (tx: TenantTx) => Promise<T>): Promise<T>;
}

/**
 * The active user of this address and password, or undefined. An unknown, disabled or passwordless user costs the same hash as
 * a known one. Throws HashingBusyError when too many wait.
 */
export async function verifyUserPassword(
  { hashing, read }: VerifyDependencies,
  { email, password }: { email: string | undefined; password: string },
): Promise<User | undefined> {
  const user = email === undefined ? undefined : await read((tx) => findUserByEmail(tx, email));
  const usable = user?.status === 'active' && user.password_hash !== null;
  const stored = usable ? user.password_hash! : dummyHash;
  const matches = await hashing.run(() => verifyPassword(password, stored));
  return matches && usable ? user : undefined;
}
