import { sql } from 'kysely';
import type { TenantTx } from '#src/database/tenant.ts';
import { takesImportedHash } from '#src/domain/users/imported-hash.ts';
import { type LifeState, settleStatus } from '#src/domain/users/life-cycle.ts';
import type { ImportedUser } from './user-fields.ts';

export interface Written {
  imported: number;
  updated: number;
  unchanged: number;
}

/** Thrown when somebody else made one of the users while this transaction ran; another try finds it. */
export class CreatedMeanwhileError extends Error {
  override readonly name = 'CreatedMeanwhileError';
}

interface UserState extends LifeState {
  name: string | null;
  email_verified: boolean;
  password_hash: string | null;
  roles: readonly string[];
}

type StoredUser = UserState & { id: string; email: string };
type WantedUser = UserState & { email: string; stored: StoredUser | undefined };

/**
 * Creates the users or brings existing ones to what is wanted, in a few statements whatever their number; their addresses differ
 * from one another and their roles exist. A hash that was made here stays (`takesImportedHash`).
 */
export async function writeUsers(tx: TenantTx, users: readonly ImportedUser[]): Promise<Written> {
  const stored = await lockUsers(
    tx,
    users.map(({ email }) => email),
  );
  const wanted = users.map((user) => wantUser(user, stored.get(user.email)));
  const created = wanted.filter((user) => user.stored === undefined);
  const updated = wanted.filter((user) => user.stored !== undefined && !isSame(user.stored, user));
  const ids = await insertUsers(tx, created);
  await updateUsers(tx, updated);
  await removeRoles(
    tx,
    updated.flatMap(({ stored, roles }) => pairs(stored!.id, without(stored!.roles, roles))),
  );
  await addRoles(tx, [
    ...created.flatMap(({ email, roles }) => pairs(ids.get(email)!, roles)),
    ...updated.flatMap(({ stored, roles }) => pairs(stored!.id, without(roles, stored!.roles))),
  ]);
  return {
    imported: created.length,
    updated: updated.length,
    unchanged: users.length - created.length - updated.length,
  };
}

/** Locked in the order of their addresses, so that two writers do not wait for one another. */
async function lockUsers(tx: TenantTx, emails: readonly string[]): Promise<Map<string, StoredUser>> {
  const users = await tx
    .selectFrom('users')
    .select(['id', 'email', 'email_verified', 'name', 'status', 'password_hash', 'password_compromised'])
    .where(sql<boolean>`email = any(${emails})`)
    .orderBy('email')
    .forUpdate()
    .execute();
  // A statement of its own, since the one that waited for a lock does not see what the other writer did to other tables.
  const roles = await tx
    .selectFrom('user_roles')
    .select(['user_id', sql<string[]>`array_agg(role_name)`.as('names')])
    .where(sql<boolean>`user_id = any(${users.map(({ id }) => id)})`)
    .groupBy('user_id')
    .execute();
  const rolesOf = new Map(roles.map(({ user_id, names }) => [user_id, names]));
  return new Map(users.map((user) => [user.email, { ...user, roles: rolesOf.get(user.id) ?? [] }]));
}

function wantUser(user: ImportedUser, stored: StoredUser | undefined): WantedUser {
  const known = stored?.password_hash ?? null;
  const takesHash = user.password_hash !== undefined && takesImportedHash(known, user.password_hash);
  const status = settleStatus(stored, { status: user.status, newPassword: takesHash });
  return {
    stored,
    email: user.email,
    name: user.name ?? stored?.name ?? null,
    email_verified: user.email_verified ?? stored?.email_verified ?? false,
    password_hash: takesHash ? user.password_hash! : known,
    status,
    password_compromised: status === 'compromised' || (!takesHash && (stored?.password_compromised ?? false)),
    roles: [...new Set(user.roles ?? stored?.roles ?? [])],
  };
}

function isSame(stored: UserState, wanted: UserState): boolean {
  return (
    (['name', 'email_verified', 'password_hash', 'status', 'password_compromised'] as const).every(
      (field) => stored[field] === wanted[field],
    ) &&
    stored.roles.length === wanted.roles.length &&
    without(wanted.roles, stored.roles).length === 0
  );
}

async function insertUsers(tx: TenantTx, users: readonly WantedUser[]): Promise<Map<string, string>> {
  if (users.length === 0) {
    return new Map();
  }
  const { rows } = await sql<{ id: string; email: string }>`
    insert into users (email, name, email_verified, password_hash, status)
    select *
    from unnest(
      ${users.map(({ email }) => email)}::text[],
      ${users.map(({ name }) => name)}::text[],
      ${users.map(({ email_verified }) => email_verified)}::boolean[],
      ${users.map(({ password_hash }) => password_hash)}::text[],
      ${users.map(({ status }) => status)}::text[]
    ) as new_user (email, name, email_verified, password_hash, status)
    order by email
    on conflict (tenant_id, email) do nothing
    returning id, email`.execute(tx);
  if (rows.length < users.length) {
    throw new CreatedMeanwhileError('another process made one of these users');
  }
  return new Map(rows.map(({ id, email }) => [email, id]));
}

async function updateUsers(tx: TenantTx, users: readonly WantedUser[]): Promise<void> {
  if (users.length === 0) {
    return;
  }
  // Another hash is that of another password: nobody has tried it in vain, and no device is known with it.
  const changed = sql`users.password_hash is distinct from wanted.password_hash`;
  await sql`
    update users
    set name = wanted.name, email_verified = wanted.email_verified, password_hash = wanted.password_hash,
      status = wanted.status, password_compromised = wanted.password_compromised, updated_at = now(),
      failed_login_attempts = case when ${changed} then 0 else failed_login_attempts end,
      failed_device_attempts = case when ${changed} then 0 else failed_device_attempts end,
      locked_until = case when ${changed} then null else locked_until end
    from unnest(
      ${users.map(({ stored }) => stored!.id)}::uuid[],
      ${users.map(({ name }) => name)}::text[],
      ${users.map(({ email_verified }) => email_verified)}::boolean[],
      ${users.map(({ password_hash }) => password_hash)}::text[],
      ${users.map(({ status }) => status)}::text[],
      ${users.map(({ password_compromised }) => password_compromised)}::boolean[]
    ) as wanted (id, name, email_verified, password_hash, status, password_compromised)
    where users.id = wanted.id`.execute(tx);
  const ids = users
    .filter(({ stored, password_hash }) => stored!.password_hash !== password_hash)
    .map(({ stored }) => stored!.id);
  await sql`delete from known_devices where user_id = any(${ids})`.execute(tx);
}

type RoleOfUser = readonly [user_id: string, role_name: string];

const pairs = (user_id: string, roles: readonly string[]): RoleOfUser[] =>
  roles.map((role_name) => [user_id, role_name]);

const without = (names: readonly string[], others: readonly string[]): string[] =>
  names.filter((name) => !others.includes(name));

async function removeRoles(tx: TenantTx, removed: readonly RoleOfUser[]): Promise<void> {
  if (removed.length > 0) {
    await sql`
      delete from user_roles
      using unnest(${removed.map(([id]) => id)}::uuid[], ${removed.map(([, name]) => name)}::text[])
        as removed (user_id, role_name)
      where user_roles.user_id = removed.user_id and user_roles.role_name = removed.role_name`.execute(tx);
  }
}

async function addRoles(tx: TenantTx, added: readonly RoleOfUser[]): Promise<void> {
  if (added.length > 0) {
    await sql`
      insert into user_roles (user_id, role_name)
      select * from unnest(${added.map(([id]) => id)}::uuid[], ${added.map(([, name]) => name)}::text[])`.execute(
      tx,
    );
  }
}
