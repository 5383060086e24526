import { sql } from 'kysely';
import type { TenantTx } from '#src/database/tenant.ts';

export interface User {
  id: string;
  email: string;
  email_verified: boolean;
  name: string | null;
  status: 'active' | 'disabled';
  roles: string[];
  updated_at: Date;
}

const rolesOfUser = sql<string[]>`array(
  select role_name from user_roles where user_roles.user_id = users.id order by role_name
)`.as('roles');

const columns = ['id', 'email', 'email_verified', 'name', 'status', 'updated_at'] as const;

/** The user of this id in the tenant, whatever the status. */
export async function findUser(tx: TenantTx, id: string): Promise<User | undefined> {
  return tx.selectFrom('users').select(columns).select(rolesOfUser).where('id', '=', id).executeTakeFirst();
}

/** The user of this normalised address with the stored hash, to check a password against. */
export async function findUserByEmail(
  tx: TenantTx,
  email: string,
): Promise<(User & { password_hash: string | null }) | undefined> {
  return tx
    .selectFrom('users')
    .select([...columns, 'password_hash'])
    .select(rolesOfUser)
    .where('email', '=', email)
    .executeTakeFirst();
}

/** All users of the tenant. */
export async function listUsers(tx: TenantTx): Promise<User[]> {
  return tx.selectFrom('users').select(columns).select(rolesOfUser).orderBy('email').execute();
}

export interface UserInput {
  /** Normalised. */
  email: string;
  email_verified: boolean;
  name: string | null;
  /** Left as it is when undefined. */
  password_hash?: string | undefined;
  roles: readonly string[];
}

/** Creates the user or makes an existing one the same; roles must exist in the tenant. Gives the id. */
export async function putUser(tx: TenantTx, { roles, password_hash, ...user }: UserInput): Promise<string> {
  const change = { ...user, ...(password_hash === undefined ? {} : { password_hash }) };
  const { id } = await tx
    .insertInto('users')
    .values(change)
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'email']).doUpdateSet({ ...change, updated_at: new Date() }),
    )
    .returning('id')
    .executeTakeFirstOrThrow();
  await tx.deleteFrom('user_roles').where('user_id', '=', id).execute();
  if (roles.length) {
    await tx
      .insertInto('user_roles')
      .values(roles.map((role_name) => ({ user_id: id, role_name })))
      .execute();
  }
  return id;
}

/** Disables or enables a user; false when the tenant has none of this id. */
export async function setUserStatus(tx: TenantTx, id: string, status: User['status']): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('users')
    .set({ status, updated_at: new Date() })
    .where('id', '=', id)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
