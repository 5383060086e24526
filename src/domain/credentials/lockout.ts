import { type RawBuilder, sql } from 'kysely';
import type { TenantTx } from '#src/database/tenant.ts';
import { noFailures, rolesOfUser, type UserWithHash, userColumns } from '#src/domain/users/users.ts';
import { hashDeviceSecret } from './known-devices.ts';
import { lockoutPolicy } from './lockout-policy.ts';

/** The right to compare one password with the stored hash, counted as a failure until `acceptAttempt`. */
export interface Attempt {
  user: UserWithHash & { password_hash: string };
  /** The known device that it comes from. */
  device_id: string | null;
  /** Whether the user has any known device. */
  has_devices: boolean;
  /** Failures in a row of everybody, this one included. */
  failures: number;
  /** Of those that share a wait with this one: of strangers, or of the device. */
  turn: number;
  /** What a success in the meantime changes; then there is nothing to give back. */
  last_login_at: Date | null;
}

const { free, stop, waits } = lockoutPolicy;

/** Until when nobody may try after failure number `turn`; null while it is free. */
const lockAfter = (turn: RawBuilder<unknown>, now: Date) =>
  sql`${now}::timestamptz + make_interval(secs => (${waits}::int[])[least(${turn} - ${free - 1}, ${waits.length})])`;

/**
 * Reserves an attempt at the password of this normalised address, before it is hashed. The transaction must be one of its own, so that
 * nothing that fails later takes the count back: however many try at once, no more are let through than the policy says. Undefined,
 * for all alike: unknown, not active nor compromised, without a password, waiting, or stopped. A known device does not wait for strangers.
 */
export async function reserveAttempt(
  tx: TenantTx,
  { email, device_secrets }: { email: string; device_secrets: readonly string[] },
  now: Date,
): Promise<Attempt | undefined> {
  const hashes = device_secrets.map((secret) => hashDeviceSecret(tx, secret));
  const turn = sql`(failed_login_attempts - failed_device_attempts + 1)`;
  const known = sql`exists (select from device)`;
  // Who is refused costs a commit that is written to disk, too: without one, the time would tell who exists.
  const { rows } = await sql<ReservedRow>`
    with device as (
      select d.id
      from known_devices d
      join users on users.id = d.user_id
      where users.email = ${email} and d.secret_hash = any(${hashes}::bytea[])
      order by d.last_seen_at desc
      limit 1
    ), reserved as (
      update users
      set failed_login_attempts = failed_login_attempts + 1,
        failed_device_attempts = failed_device_attempts + (select count(*) from device),
        locked_until = case when ${known} then locked_until else ${lockAfter(turn, now)} end
      where email = ${email} and status in ('active', 'compromised') and password_hash is not null
        and failed_login_attempts < ${stop}
        and (${known} or locked_until is null or locked_until <= ${now})
      returning ${sql.join(userColumns.map((column) => sql.ref(column)))}, password_hash, last_login_at, ${rolesOfUser},
        failed_login_attempts as failures, failed_login_attempts - failed_device_attempts as turn,
        exists (select from known_devices d where d.user_id = users.id) as has_devices
    )
    select reserved.*, device.id as device_id,
      case when reserved.id is null then pg_logical_emit_message(true, 'tessera', 'attempt refused') end as mark
    from (values (1)) as always
    left join reserved on true
    left join device on true`.execute(tx);
  const { id, failures, turn: strangerTurn, device_id, has_devices, last_login_at, ...rest } = rows[0]!;
  if (id === null) {
    return undefined;
  }
  const { mark: _, ...user } = { id, ...rest };
  const attempt = { user, device_id, has_devices, failures, last_login_at };
  if (device_id === null) {
    return { ...attempt, turn: strangerTurn };
  }
  const deviceTurn = await reserveOnDevice(tx, device_id, now);
  if (deviceTurn !== undefined) {
    return { ...attempt, turn: deviceTurn };
  }
  await sql`
    update users
    set failed_login_attempts = failed_login_attempts - 1, failed_device_attempts = failed_device_attempts - 1
    where id = ${id}`.execute(tx);
  return undefined;
}

type ReservedRow = { id: string | null; mark: null } & Omit<Attempt, 'user'> & Omit<Attempt['user'], 'id'>;

/** Gives the number of the failure; undefined when the device has to wait. */
async function reserveOnDevice(tx: TenantTx, id: string, now: Date): Promise<number | undefined> {
  const { rows } = await sql<{ turn: number }>`
    update known_devices
    set failed_login_attempts = failed_login_attempts + 1,
      locked_until = ${lockAfter(sql`(failed_login_attempts + 1)`, now)}
    where id = ${id} and (locked_until is null or locked_until <= ${now})
    returning failed_login_attempts as turn`.execute(tx);
  return rows[0]?.turn;
}

/**
 * Gives an attempt back that was never compared with anything, and the wait with it that it had begun. Nothing happens when a
 * success or another password has set the count to nought in the meantime.
 */
export async function returnAttempt(
  tx: TenantTx,
  { user, device_id, turn, last_login_at }: Attempt,
): Promise<void> {
  // The wait of a later attempt stays, unless the failures that are left are free.
  const unlocked = (count: RawBuilder<unknown>) =>
    sql`case when ${count} <= ${free} or ${count} = ${turn} then null else locked_until end`;
  const counts = sql`id = ${user.id} and password_hash = ${user.password_hash}
    and last_login_at is not distinct from ${last_login_at}`;
  if (device_id === null) {
    await sql`
      update users
      set failed_login_attempts = failed_login_attempts - 1,
        locked_until = ${unlocked(sql`failed_login_attempts - failed_device_attempts`)}
      where ${counts} and failed_login_attempts > failed_device_attempts`.execute(tx);
    return;
  }
  const { numAffectedRows } = await sql`
    update users
    set failed_login_attempts = failed_login_attempts - 1, failed_device_attempts = failed_device_attempts - 1
    where ${counts} and failed_device_attempts > 0`.execute(tx);
  if (numAffectedRows) {
    await sql`
      update known_devices
      set failed_login_attempts = failed_login_attempts - 1, locked_until = ${unlocked(sql`failed_login_attempts`)}
      where id = ${device_id} and failed_login_attempts > 0`.execute(tx);
  }
}

/**
 * The password was right: the failures of the password count no longer, nor those of the device that it was typed on. Notes when
 * and from which address. What a second factor has counted stays (NIST SP 800-63B-4 section 3.2.2).
 */
export async function acceptAttempt(
  tx: TenantTx,
  { user, device_id }: Attempt,
  { ip, now }: { ip: string; now: Date },
): Promise<void> {
  await tx
    .updateTable('users')
    .set({ ...noFailures, last_login_at: now, last_login_ip: ip })
    .where('id', '=', user.id)
    .execute();
  if (device_id !== null) {
    await tx
      .updateTable('known_devices')
      .set({ failed_login_attempts: 0, locked_until: null, last_seen_at: now })
      .where('id', '=', device_id)
      .execute();
  }
}
