import { sql } from 'kysely';
import type { Schema, UsersTable } from '#src/database/schema.ts';
import type { TenantTx } from '#src/database/tenant.ts';

/** Tables whose rows are each of one user. */
type PersonalTable = {
  [Table in keyof Schema]: 'user_id' extends keyof Schema[Table] ? Table : never;
}[keyof Schema];

/**
 * What erasure removes beside the row itself. Whoever adds a table with a `user_id` decides here: until then it does not
 * compile. In this order.
 */
const removedRows: Record<PersonalTable, true> = {
  user_roles: true,
  known_devices: true,
  sessions: true,
  mails: true,
  protocol_store: true,
};

/** The tables that erasure removes a user's rows from. */
export const personalTables = Object.keys(removedRows) as PersonalTable[];

/** Columns that tell nothing of a person once the others are empty: they keep the id from being given again. */
type KeptColumn = 'tenant_id' | 'id' | 'status' | 'created_at' | 'updated_at' | 'sessions_valid_from';

/** The same for the user's own row: a column of `users` is kept, or stands here. */
const emptied = {
  email_verified: false,
  name: null,
  password_hash: null,
  password_compromised: false,
  failed_login_attempts: 0,
  failed_device_attempts: 0,
  locked_until: null,
  last_login_at: null,
  last_login_ip: null,
} satisfies { [Column in Exclude<keyof UsersTable, KeptColumn | 'email'>]: null | false | 0 };

/**
 * Makes the user a row without a person, and removes all that belongs to it. The row comes first: whoever changes it at the same
 * time has then either ended, or finds it erased. What a request under way holds is left to `sweepErasedUsers`.
 */
export async function emptyUser(tx: TenantTx, id: string): Promise<void> {
  await tx
    .updateTable('users')
    .set({
      ...emptied,
      email: sql<string>`'erased-' || id || '@erased.invalid'`,
      status: 'erased',
      updated_at: new Date(),
    })
    .where('id', '=', id)
    .execute();
  await removePersonalRows(tx, [id]);
}

/**
 * Removes what requests that were under way at an erasure held, or wrote behind it. Nobody can use those rows, since an erased user
 * has no account; without this they would stay until they expire. Looks at the erasures of the last two hours.
 */
export async function sweepErasedUsers(tx: TenantTx): Promise<void> {
  const users = await tx
    .selectFrom('users')
    .select('id')
    .where('status', '=', 'erased')
    .where('updated_at', '>', sql<Date>`now() - interval '2 hours'`)
    .execute();
  if (users.length > 0) {
    await removePersonalRows(
      tx,
      users.map(({ id }) => id),
    );
  }
}

/** Never waits: a request locks its rows in an order of its own, and one of two that wait for each other would fail. */
async function removePersonalRows(tx: TenantTx, ids: readonly string[]): Promise<void> {
  for (const table of personalTables) {
    await sql`
      delete from ${sql.table(table)}
      where ctid = any (array(
        select ctid from ${sql.table(table)} where user_id = any (${ids}::uuid[]) for update skip locked
      ))`.execute(tx);
  }
}
