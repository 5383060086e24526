import { sql } from 'kysely';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { listConfiguredTenants } from '#src/domain/catalogue/config-changes.ts';
import type { Services } from '#src/services.ts';

/** So many tenants a run: the cost of a minute is bounded, and expired rows are never read anyway. */
const tenantsPerRun = 200;
const rowsPerBatch = 1_000;

/**
 * Removes expired rows of the protocol store and expired client secrets, a tenant at a time under its own row-level security:
 * no statement reaches over tenants. Each run goes on where the last one ended. Rows that another node removes at the same
 * time are skipped.
 */
export function makePurgeExpired(): (services: Pick<Services, 'db'>) => Promise<void> {
  let after: string | undefined;
  return async ({ db }) => {
    const tenant_ids = await listConfiguredTenants(db, { after, limit: tenantsPerRun });
    after = tenant_ids.length < tenantsPerRun ? undefined : tenant_ids.at(-1);
    for (const tenant_id of tenant_ids) {
      let removed: bigint;
      do {
        removed = await withTenant(db, tenant_id, purgeBatch, { aux: true });
      } while (removed === BigInt(rowsPerBatch));
    }
  };
}

async function purgeBatch(tx: TenantTx): Promise<bigint> {
  await tx.deleteFrom('client_secrets').where('expires_at', '<', sql<Date>`now()`).execute();
  const { numDeletedRows } = await tx
    .deleteFrom('protocol_store')
    .where('key', 'in', (rows) =>
      rows
        .selectFrom('protocol_store')
        .select('key')
        .where('expires_at', '<', sql<Date>`now()`)
        .limit(rowsPerBatch)
        .forUpdate()
        .skipLocked(),
    )
    .executeTakeFirstOrThrow();
  return numDeletedRows;
}
