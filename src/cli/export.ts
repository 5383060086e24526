import { stringify } from 'yaml';
import type { Database } from '#src/database/pool.ts';
import { exportConfiguration } from '#src/domain/configuration/export.ts';
import { type Outcome, refuse } from './outcome.ts';

/** `tessera export --tenant SLUG`: the tenant as a file that `apply` takes. */
export async function exportTenant(
  db: Database,
  { tenant, withPasswordHashes }: { tenant: string; withPasswordHashes: boolean },
): Promise<Outcome> {
  const document = await exportConfiguration(db, tenant, { withPasswordHashes });
  if (document === undefined) {
    return refuse('not_found', [`there is no tenant ${tenant}`]);
  }
  return { ok: true, document, text: () => stringify(document, { lineWidth: 0 }) };
}
