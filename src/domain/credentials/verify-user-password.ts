import type { TenantTx } from '#src/database/tenant.ts';
import { findUserByEmail, replacePasswordHash, type UserWithHash } from '#src/domain/users/users.ts';
import { HashingBusyError } from '#src/lib/hashing-queue.ts';
import { dummyHash } from './password-hash.ts';
import type { PasswordHashing } from './password-hashing.ts';

export interface VerifyDependencies {
  hashing: PasswordHashing;
  /** Runs a short transaction: none is held while a password is hashed. */
  inTenant<T>(work: (tx: TenantTx) => Promise<T>): Promise<T>;
}

export type PasswordOutcome =
  /** Active, or compromised: then a new password comes before anything else. The hash is the one stored by now. */
  | { ok: true; user: UserWithHash & { password_hash: string } }
  /** `too_long_for_import`: right as far as an imported bcrypt hash goes, which says nothing of the rest. */
  | { ok: false; reason: 'wrong' | 'too_long_for_import' };

/**
 * The user of this address and password. An unknown, invited, disabled, erased or passwordless user costs the same hash as a known one and gets
 * the same answer. Stores a hash of today in place of an outdated one. Throws HashingBusyError when too many wait.
 */
export async function verifyUserPassword(
  dependencies: VerifyDependencies,
  { email, password }: { email: string | undefined; password: string },
): Promise<PasswordOutcome> {
  const { hashing, inTenant } = dependencies;
  const user = email === undefined ? undefined : await inTenant((tx) => findUserByEmail(tx, email));
  const usable = user?.status === 'active' || user?.status === 'compromised';
  const stored = usable ? user.password_hash : null;
  const verification = await hashing.verify(password, stored ?? dummyHash);
  if (!user || stored === null || verification === 'wrong') {
    return { ok: false, reason: 'wrong' };
  }
  if (verification === 'cut') {
    return { ok: false, reason: 'too_long_for_import' };
  }
  const upgraded = hashing.isOutdated(stored)
    ? await upgradeHash(dependencies, { id: user.id, password, stored })
    : stored;
  return { ok: true, user: { ...user, password_hash: upgraded } };
}

/** Gives the hash that is stored afterwards, unless somebody else changed it meanwhile. */
async function upgradeHash(
  { hashing, inTenant }: VerifyDependencies,
  { id, password, stored }: { id: string; password: string; stored: string },
): Promise<string> {
  try {
    const hash = await hashing.hash(password);
    return (await inTenant((tx) => replacePasswordHash(tx, id, { from: stored, to: hash }))) ? hash : stored;
  } catch (error) {
    if (error instanceof HashingBusyError) {
      // The sign-in stands; the next one upgrades.
      return stored;
    }
    throw error;
  }
}
