import type { TenantTx } from '#src/database/tenant.ts';
import { replacePasswordHash, type UserWithHash } from '#src/domain/users/users.ts';
import { HashingBusyError } from '#src/lib/hashing-queue.ts';
import { type Attempt, acceptAttempt, reserveAttempt, returnAttempt } from './lockout.ts';
import { lockoutPolicy } from './lockout-policy.ts';
import { dummyHash } from './password-hash.ts';
import type { PasswordHashing } from './password-hashing.ts';

export interface VerifyDependencies {
  hashing: PasswordHashing;
  /** Runs a short transaction: none is held while a password is hashed. */
  inTenant<T>(work: (tx: TenantTx) => Promise<T>): Promise<T>;
  now: Date;
}

export interface TypedPassword {
  /** Normalised; undefined when what was typed is no address. */
  email: string | undefined;
  password: string;
  /** What the browser shows of the devices that it was remembered as. */
  device_secrets: readonly string[];
  ip: string;
}

export type PasswordOutcome =
  | {
      ok: true;
      /** Active, or compromised: then a new password comes before anything else. The hash is the one stored by now. */
      user: UserWithHash & { password_hash: string };
      /** `first`: no device of the user was known before. */
      device: 'known' | 'new' | 'first';
      /** Failures in a row before this success, from wherever. */
      failures_before: number;
    }
  | {
      ok: false;
      /** `too_long_for_import`: right as far as an imported bcrypt hash goes, which says nothing of the rest. */
      reason: 'wrong' | 'too_long_for_import';
      /** Whose password was compared; never for the caller's eyes. */
      user_id?: string;
      /** `paused`: with this failure the waits begin. `stopped`: the password opens nothing any more. */
      notice?: 'paused' | 'stopped';
    };

/**
 * The user of this address and password: the one way to check a user's password, and the one that counts. An unknown, invited,
 * disabled, erased, passwordless or locked user costs the same hash as another and gets the same answer; what is locked is not
 * compared. Stores a hash of today in place of an outdated one. Throws HashingBusyError when too many wait; the attempt does not
 * count then.
 */
export async function verifyUserPassword(
  dependencies: VerifyDependencies,
  { email, password, device_secrets, ip }: TypedPassword,
): Promise<PasswordOutcome> {
  const { hashing, inTenant, now } = dependencies;
  const attempt =
    email === undefined
      ? undefined
      : await inTenant((tx) => reserveAttempt(tx, { email, device_secrets }, now));
  if (attempt === undefined) {
    await hashing.verify(password, dummyHash);
    return { ok: false, reason: 'wrong' };
  }
  const { user, device_id, has_devices, failures } = attempt;
  const verification = await compare(dependencies, password, attempt);
  if (verification !== 'right') {
    return {
      ok: false,
      reason: verification === 'cut' ? 'too_long_for_import' : 'wrong',
      user_id: user.id,
      ...findNotice(attempt),
    };
  }
  await inTenant((tx) => acceptAttempt(tx, attempt, { ip, now }));
  const stored = user.password_hash;
  const upgraded = hashing.isOutdated(stored)
    ? await upgradeHash(dependencies, { id: user.id, password, stored })
    : stored;
  return {
    ok: true,
    user: { ...user, password_hash: upgraded },
    device: device_id !== null ? 'known' : has_devices ? 'new' : 'first',
    failures_before: failures - 1,
  };
}

async function compare({ hashing, inTenant }: VerifyDependencies, password: string, attempt: Attempt) {
  try {
    return await hashing.verify(password, attempt.user.password_hash);
  } catch (error) {
    if (error instanceof HashingBusyError) {
      await inTenant((tx) => returnAttempt(tx, attempt));
    }
    throw error;
  }
}

function findNotice({ failures, turn }: Attempt): { notice?: 'paused' | 'stopped' } {
  if (failures === lockoutPolicy.stop) {
    return { notice: 'stopped' };
  }
  return turn === lockoutPolicy.free ? { notice: 'paused' } : {};
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
