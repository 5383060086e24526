import { sql } from 'kysely';
import type { Database } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { listRoles } from '#src/domain/users/roles.ts';
import { ImportError } from './errors.ts';

/** The right to import into a tenant, which one at a time has. */
export interface ImportTurn {
  tenant_id: string;
  /** The names of the tenant's roles; throws when the turn was lost with its connection. */
  listRoleNames(): Promise<ReadonlySet<string>>;
}

/**
 * Runs `work` while no other import of this tenant runs, in whatever process. Throws an ImportError (`busy`) when another one
 * has not ended within two seconds.
 *
 * The turn is a lock of a transaction that stays open: it ends with the process that holds it, however that ends, and works
 * through a pooler. The transaction writes nothing and so holds up nobody else; silent for ten seconds, it is lost.
 */
export async function withImportTurn<T>(
  db: Database,
  tenant_id: string,
  work: (turn: ImportTurn) => Promise<T>,
): Promise<T> {
  return withTenant(db, tenant_id, async (tx) => {
    await sql`set local lock_timeout = '2s'`.execute(tx);
    await sql`select pg_advisory_xact_lock(hashtext('tessera users import'), hashtext(${tenant_id}))`
      .execute(tx)
      .catch((cause) => {
        throw isLockTimeout(cause)
          ? new ImportError('busy', 'another import of this tenant is under way', { cause })
          : cause;
      });
    return work({
      tenant_id,
      listRoleNames: async () => new Set((await listRoles(tx)).map(({ name }) => name)),
    });
  });
}

function isLockTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '55P03';
}
