import type pg from 'pg';
import type { VerifiedToken } from '../verify/verified-token.ts';
import { refuseUnboundRole as refuseRole } from './bound-role.ts';
import { type Adapter, runWithTenant, type TenantOptions } from './open.ts';
import { askPool, transactOnPool } from './pool.ts';
import { setLocal } from './settings.ts';

/** SQL inside the tenant's transaction. Refuses to run once the work of `withTenant` has ended. */
export interface TenantTx {
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    query: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

/**
 * Runs `work` in one transaction that sees and writes only the rows of the token's tenant, commits it, and gives the result
 * of `work`; any error rolls it back. SQL may read the settings `app.current_tenant_id` (uuid) and `request.jwt.claims`
 * (JSON). Given a `tx`, or called inside of `work` with the same pool, it joins that transaction.
 *
 * Three round trips of which one is `work`'s statement; two when the pool was made with `pipeline: true`.
 *
 * Throws a TypeError for anything but a verifier's result, `TokenError` (`expired`), `UnboundRoleError`,
 * `OtherTenantError`, `OtherCallerError`, `OtherRoleError`, `RolledBackError`, `DatabaseUnavailableError`, or what `work` throws.
 */
export function withTenant<T>(
  db: pg.Pool | TenantTx,
  token: VerifiedToken,
  work: (tx: TenantTx) => Promise<T>,
  { role }: TenantOptions = {},
): Promise<T> {
  return runWithTenant(db, token, work, {
    role,
    adapter: () => poolAdapter(db as pg.Pool),
  });
}

/**
 * What `withTenant` asks before its first transaction, for a service that would rather not start: throws
 * `UnboundRoleError` when row-level security does not bind the pool's login role (or `role`), and
 * `DatabaseUnavailableError` when nobody can be asked. Once for each pool.
 */
export function refuseUnboundRole(pool: pg.Pool, { role }: TenantOptions = {}): Promise<void> {
  return refuseRole(pool, role, askPool(pool));
}

function poolAdapter(pool: pg.Pool): Adapter<TenantTx> {
  return {
    ask: askPool(pool),
    write: setLocal,
    transact: (settings, inside, assertOpen) =>
      transactOnPool(pool, settings, (send) =>
        inside({
          async query<Row extends pg.QueryResultRow>(query: string | pg.QueryConfig, values?: unknown[]) {
            assertOpen();
            return (await send(query, values)) as pg.QueryResult<Row>;
          },
        }),
      ),
  };
}
