import { runStatement } from '#src/database/connection.ts';
import type { Database } from '#src/database/pool.ts';

export interface ConfigChanges {
  /** Tenants whose configuration changed since the changes given. */
  tenant_ids: Set<string>;
  /** Every transaction below this number has ended: later reads begin here, so that a slow commit is never missed. */
  horizon: string;
  /** What was seen at or above the horizon, so that it is not reported twice. */
  stamps: Map<string, string>;
}

/** One autocommit statement; reads only ids and transaction numbers. Without `since` it reports nothing and sets the mark. */
export async function readConfigChanges(
  db: Database,
  since: ConfigChanges | undefined,
): Promise<ConfigChanges> {
  const client = await db.aux.connect();
  try {
    const { rows } = await runStatement<{
      horizon: string;
      tenant_id: string | null;
      changed_in: string | null;
    }>(
      client,
      {
        text: `
          select pg_snapshot_xmin(pg_current_snapshot())::text as horizon, tenant_id, changed_in::text as changed_in
          from (select) as one
          left join config_changes on changed_in >= coalesce($1::xid8, pg_snapshot_xmin(pg_current_snapshot()))`,
        values: [since?.horizon ?? null],
      },
      db.prepared,
    );
    const stamps = new Map<string, string>();
    const tenant_ids = new Set<string>();
    for (const { tenant_id, changed_in } of rows) {
      if (tenant_id !== null && changed_in !== null) {
        stamps.set(tenant_id, changed_in);
        if (since && since.stamps.get(tenant_id) !== changed_in) {
          tenant_ids.add(tenant_id);
        }
      }
    }
    return { tenant_ids, horizon: rows[0]!.horizon, stamps };
  } finally {
    client.release();
  }
}

/** Ids of tenants in order, for work that visits each of them under its own row-level security. */
export async function listConfiguredTenants(
  db: Database,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<string[]> {
  const { rows } = await db.aux.query<{ tenant_id: string }>(
    'select tenant_id from config_changes where $1::uuid is null or tenant_id > $1 order by tenant_id limit $2',
    [after ?? null, limit],
  );
  return rows.map(({ tenant_id }) => tenant_id);
}
