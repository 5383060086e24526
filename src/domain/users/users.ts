import { sql } from 'kysely';
import type { TenantTx } from '#src/database/tenant.ts';
import { forgetKnownDevices } from '#src/domain/credentials/known-devices.ts';
import type { UserStatus, WantedStatus } from './life-cycle.ts';

export interface User {
  id: string;
  email: string;
  email_verified: boolean;
  name: string | null;
  status: UserStatus;
  roles: string[];
  updated_at: Date;
  /** Sessions and tokens of a sign-in before this moment are over; set by the database when the status changes. */
  sessions_valid_from: Date | null;
}

export type UserWithHash = User & { password_hash: string | null };

/** A user as `present_protocol_row` gives it: JSON knows no dates. */
export type StoredUser = Omit<User, 'updated_at' | 'sessions_valid_from'> & {
  updated_at: string;
  sessions_valid_from: string | null;
};

/** The user that was read as JSON. */
export function readStoredUser({ updated_at, sessions_valid_from, ...user }: StoredUser): User {
  return {
    ...user,
    updated_at: new Date(updated_at),
    sessions_valid_from: sessions_valid_from === null ? null : new Date(sessions_valid_from),
  };
}

/** Of a user whose password nobody has tried in vain: a right one, or another one, makes it so. */
export const noFailures = { failed_login_attempts: 0, failed_device_attempts: 0, locked_until: null };

/** The names of the roles of a row of `users`. */
export const rolesOfUser = sql<string[]>`array(
  select role_name from user_roles where user_roles.user_id = users.id order by role_name
)`.as('roles');

/** What `User` is read from. */
export const userColumns = [
  'id',
  'email',
  'email_verified',
  'name',
  'status',
  'updated_at',
  'sessions_valid_from',
] as const;

/** The user of this id in the tenant, whatever the status. */
export async function findUser(tx: TenantTx, id: string): Promise<User | undefined> {
  return tx
    .selectFrom('users')
    .select(userColumns)
    .select(rolesOfUser)
    .where('id', '=', id)
    .executeTakeFirst();
}

/** The user of this normalised address with the stored hash, to check a password against. */
export async function findUserByEmail(tx: TenantTx, email: string): Promise<UserWithHash | undefined> {
  return tx
    .selectFrom('users')
    .select([...userColumns, 'password_hash'])
    .select(rolesOfUser)
    .where('email', '=', email)
    .executeTakeFirst();
}

export interface UserInput {
  /** Normalised. */
  email: string;
  email_verified: boolean;
  name: string | null;
  /** Of another password than the one stored. Left as it is when undefined. */
  password_hash?: string | undefined;
  /** Where `settleStatus` leads; left as it is when undefined. Of a new user: active with a password, else invited. */
  status?: WantedStatus | undefined;
  roles: readonly string[];
}

/**
 * Creates the user or makes an existing one the same; roles must exist in the tenant. Gives the id. A new password lifts the
 * lock of the old one, and no device is known any more. Throws when the life of the user does not lead to the status.
 */
export async function putUser(
  tx: TenantTx,
  { roles, password_hash, status, ...user }: UserInput,
): Promise<string> {
  const change = {
    ...user,
    ...(password_hash === undefined ? {} : { password_hash, password_compromised: false, ...noFailures }),
    ...(status === undefined ? {} : { status }),
  };
  const { id } = await tx
    .insertInto('users')
    .values({ status: password_hash === undefined ? 'invited' : 'active', ...change })
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'email']).doUpdateSet({ ...change, updated_at: new Date() }),
    )
    .returning('id')
    .executeTakeFirstOrThrow();
  if (password_hash !== undefined) {
    await forgetKnownDevices(tx, id);
  }
  await tx.deleteFrom('user_roles').where('user_id', '=', id).execute();
  if (roles.length) {
    await tx
      .insertInto('user_roles')
      .values(roles.map((role_name) => ({ user_id: id, role_name })))
      .execute();
  }
  return id;
}

/** Stores another hash of the same password; false when the stored one is not `from` any more. */
export async function replacePasswordHash(
  tx: TenantTx,
  id: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('users')
    .set({ password_hash: to })
    .where('id', '=', id)
    .where('password_hash', '=', from)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/**
 * Gives a compromised user the hash of a new password, and makes the user active. The lock of the old one is lifted, and of the
 * known devices only the one with the secret `device` stays. Undefined, and nothing is changed, when the user is not compromised
 * any more or the stored hash is not `from`.
 */
export async function mendCompromisedUser(
  tx: TenantTx,
  id: string,
  { from, to, device }: { from: string; to: string; device?: string | undefined },
): Promise<User | undefined> {
  const mended = await tx
    .updateTable('users')
    .set({
      password_hash: to,
      password_compromised: false,
      status: 'active',
      updated_at: new Date(),
      ...noFailures,
    })
    .where('id', '=', id)
    .where('status', '=', 'compromised')
    .where('password_hash', '=', from)
    .returning(userColumns)
    .returning(rolesOfUser)
    .executeTakeFirst();
  if (mended) {
    await forgetKnownDevices(tx, id, { except: device });
  }
  return mended;
}
