import { sql } from 'kysely';
import type { Database } from '#src/database/pool.ts';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { listConfiguredTenants } from '#src/domain/catalogue/config-changes.ts';
import { sweepErasedUsers } from '#src/domain/users/erase.ts';
import type { Services } from '#src/services.ts';

/** So many tenants a run: the cost of a minute is bounded, and expired rows are never read anyway. */
const tenantsPerRun = 200;
const rowsPerBatch = 1_000;

/**
 * Removes expired rows of the protocol store, sessions past their absolute end, expired client secrets, abandoned mails and what was
 * written behind an erasure, a tenant at a time under its own row-level security:
 * no statement reaches over tenants. Each run goes on where the last one ended. Rows that another node removes at the same
 * time are skipped.
 */
export function makePurgeExpired(): (services: Pick<Services, 'db'>) => Promise<void> {
  let after: string | undefined;
  return async ({ db }) => {
    const tenant_ids = await listConfiguredTenants(db, { after, limit: tenantsPerRun });
    after = tenant_ids.length < tenantsPerRun ? undefined : tenant_ids.at(-1);
    const failures: unknown[] = [];
    for (const tenant_id of tenant_ids) {
      await purgeTenant(db, tenant_id).catch((error) => failures.push(error));
    }
    if (failures.length) {
      throw new AggregateError(
        failures,
        `${failures.length} of ${tenant_ids.length} tenants could not be purged`,
      );
    }
  };
}

async function purgeTenant(db: Database, tenant_id: string) {
  await withTenant(db, tenant_id, sweepErasedUsers, { aux: true });
  let removed: bigint;
  do {
    removed = await withTenant(db, tenant_id, purgeBatch, { aux: true });
  } while (removed === BigInt(rowsPerBatch));
}

async function purgeBatch(tx: TenantTx): Promise<bigint> {
  // Longer than a mail is tried: what is left of one whose last attempt died with its process.
  await tx.deleteFrom('mails').where('created_at', '<', sql<Date>`now() - interval '3 days'`).execute();
  await tx.deleteFrom('client_secrets').where('expires_at', '<', sql<Date>`now()`).execute();
  const sessions = await purgeTable(tx, { table: 'sessions', key: 'uid_key', end: 'ends_at' });
  const objects = await purgeTable(tx, { table: 'protocol_store', key: 'key', end: 'expires_at' });
  return sessions > objects ? sessions : objects;
}

async function purgeTable(
  tx: TenantTx,
  { table, key, end }: { table: string; key: string; end: string },
): Promise<bigint> {
  // An array is read once; the planner may run a subquery of "in" anew for each row, which takes longer than a statement may.
  const { numAffectedRows } = await sql`
    delete from ${sql.table(table)}
    where ${sql.ref(key)} = any (array(
      select ${sql.ref(key)} from ${sql.table(table)} where ${sql.ref(end)} < now()
      limit ${rowsPerBatch} for update skip locked
    ))`.execute(tx);
  return numAffectedRows!;
}
