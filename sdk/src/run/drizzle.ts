import type { ExtractTablesWithRelations } from 'drizzle-orm';
import type { NodePgDatabase, NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import type { PgTransaction } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import type { VerifiedToken } from '../verify/verified-token.ts';
import { TenantError } from './errors.ts';
import { type Adapter, runWithTenant, type TenantOptions } from './open.ts';
import { askPool, type Send, transactOnPool } from './pool.ts';
import { setLocal } from './settings.ts';

/** Drizzle's own transaction over node-postgres. */
export type TenantTx<TSchema extends Record<string, unknown> = Record<string, never>> = PgTransaction<
  NodePgQueryResultHKT,
  TSchema,
  ExtractTablesWithRelations<TSchema>
>;

type PoolDatabase<TSchema extends Record<string, unknown>> = NodePgDatabase<TSchema> & { $client: pg.Pool };

/**
 * Runs `work` in one transaction of Drizzle that sees and writes only the rows of the token's tenant; see `withTenant` of
 * `@tessera/rls/pg` for what it sets, joins and throws. The database must be one that `drizzle()` made over a `pg.Pool`.
 *
 * As many round trips as with pg: BEGIN and COMMIT of Drizzle are left out, since the connection has sent its own.
 */
export function withTenant<TSchema extends Record<string, unknown>, T>(
  db: PoolDatabase<TSchema> | TenantTx<TSchema>,
  token: VerifiedToken,
  work: (tx: TenantTx<TSchema>) => Promise<T>,
  { role }: TenantOptions = {},
): Promise<T> {
  return runWithTenant(db, token, work, {
    role,

    adapter: () => drizzleAdapter(db as PoolDatabase<TSchema>),
  });
}

function drizzleAdapter<TSchema extends Record<string, unknown>>(
  db: PoolDatabase<TSchema>,
): Adapter<TenantTx<TSchema>> {
  const pool = db.$client;
  const session = db._?.session as { client?: unknown } & typeof db._.session;
  // A single client would be shared by all requests, and their transactions would be one.
  if (typeof pool?.connect !== 'function' || !('totalCount' in pool) || session?.client !== pool) {
    throw new TenantError(
      'unsupported_database',
      'withTenant needs what drizzle() of drizzle-orm/node-postgres makes over a pg.Pool',
    );
  }
  return {
    ask: askPool(pool),
    write: setLocal,
    transact: (settings, inside, assertOpen) =>
      transactOnPool(pool, settings, (send) => {
        // Schema, casing, logger and cache are those of the session; the connection alone is another.
        const bound = Object.create(session, { client: { value: tenantClient(send, assertOpen) } });
        return (bound as typeof session).transaction(inside as never);
      }),
  };
}

// What Drizzle takes for its client. Its first statement is its own BEGIN, and after the work its COMMIT or ROLLBACK: all
// three are ours to send, with the settings before and the checks behind.
function tenantClient(send: Send, assertOpen: () => void) {
  let begun = false;
  return {
    async query(query: pg.QueryConfig, values?: unknown[]) {
      if (!begun) {
        begun = true;
        return nothing;
      }
      if (query.text === 'commit' || query.text === 'rollback') {
        try {
          assertOpen();
        } catch {
          return nothing;
        }
      }
      assertOpen();
      return send(query, values);
    },
  };
}

const nothing = { rows: [], rowCount: 0, fields: [], command: '', oid: 0 };
