import pg from 'pg';
import type { VerifiedToken } from './verify.ts';

/** SQL inside the tenant's transaction. Refuses to run once the transaction is over. */
export type TenantTx = {
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
};

/** The database cannot be reached, or was lost on the way; nothing was promised to the caller. */
export class DatabaseUnavailable extends Error {
  constructor(cause: unknown) {
    super('the database is unavailable', { cause });
  }
}

/**
 * Runs `work` in one transaction that sees and writes only the rows of the token's tenant, and commits it;
 * any error rolls it back. SQL may read `app.current_tenant_id` (uuid) and `request.jwt.claims` (JSON).
 *
 * Throws `DatabaseUnavailable`, whatever `work` throws, or an error that names the role when the pool logs in as
 * one that row-level security does not bind.
 */
export async function withTenant<T>(
  pool: pg.Pool,
  token: VerifiedToken,
  work: (tx: TenantTx) => Promise<T>,
): Promise<T> {
  await refuseUnboundRole(pool);
  const client = await connect(pool);
  let open = true;
  const tx: TenantTx = {
    // The connection's next transaction may be another tenant's: a `tx` that was kept must not reach it.
    async query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]) {
      if (!open) throw new Error('this transaction is over');
      return (await client.query<Row>(text, values)).rows;
    },
  };
  try {
    await client.query(begin(token));
    const result = await work(tx);
    open = false;
    await commit(client);
    client.release();
    return result;
  } catch (error) {
    open = false;
    const alive = await rollback(client);
    client.release(!alive);
    throw alive ? error : new DatabaseUnavailable(error);
  }
}

// One message, hence one round trip; such a message takes no parameters, hence the literals. The `true` ties
// both settings to this transaction: commit and rollback alike take them off the connection, before the pool
// (or PgBouncer) hands it to the next request.
function begin(token: VerifiedToken): string {
  const { tenant_id, sub, client_id, scope } = token;
  const claims = JSON.stringify({ tenant_id, sub, client_id, scope });
  return `begin;
    select set_config('app.current_tenant_id', ${pg.escapeLiteral(tenant_id)}, true),
           set_config('request.jwt.claims', ${pg.escapeLiteral(claims)}, true)`;
}

// PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error: if `work` swallowed the failure,
// its caller would believe in a write that never happened.
async function commit(client: pg.PoolClient): Promise<void> {
  const { command } = await client.query('commit');
  if (command !== 'COMMIT') throw new Error('rolled back: the error of a failed statement was swallowed');
}

// False when the connection is gone, and with it the transaction: the pool must not keep it.
async function rollback(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('rollback');
    return true;
  } catch {
    return false;
  }
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    const client = await pool.connect();
    // A connection lost between two queries emits `error`, which without a listener ends the process.
    if (client.listenerCount('error') === 0) client.on('error', ignoreLostConnection);
    return client;
  } catch (error) {
    throw new DatabaseUnavailable(error);
  }
}

function ignoreLostConnection(): void {}

const roleChecks = new WeakMap<pg.Pool, Promise<void>>();

/**
 * Refuses, by name, a pool whose login role is (or may become) a superuser, a BYPASSRLS role or the owner of a
 * table: with any of them the policies are, or can be made, without effect. Asked once per pool.
 */
export function refuseUnboundRole(pool: pg.Pool): Promise<void> {
  let check = roleChecks.get(pool);
  if (!check) {
    check = checkRole(pool);
    roleChecks.set(pool, check);
    check.catch(() => roleChecks.delete(pool));
  }
  return check;
}

async function checkRole(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ role: string; reason: string | null }>(roleQuery).catch((error) => {
    throw new DatabaseUnavailable(error);
  });
  const { role, reason } = rows[0]!;
  if (reason) throw new Error(`refused to run as database role "${role}": it ${reason}`);
}

const roleQuery = `
  select session_user as role, case
    when bool_or(r.rolsuper) then 'is a superuser'
    when bool_or(r.rolbypassrls) then 'bypasses row-level security'
    when exists (
      select from pg_class c
      where c.relkind in ('r', 'p')
        and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
        and c.relpersistence <> 't'
        and pg_has_role(session_user, c.relowner, 'member')
    ) then 'owns tables'
  end as reason
  from pg_roles r
  where pg_has_role(session_user, r.oid, 'member')`;
