import type { ExtractTablesWithRelations } from 'drizzle-orm';
import { type NodePgDatabase, type NodePgQueryResultHKT, NodePgTransaction } from 'drizzle-orm/node-postgres';
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
 * As many round trips as with pg: the transaction object is Drizzle's, BEGIN and COMMIT are sent as with pg.
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

/** What Drizzle's session holds, and its types keep to itself. */
interface Session<TSchema extends Record<string, unknown>> {
  client: unknown;
  dialect: ConstructorParameters<typeof NodePgTransaction>[0];
  schema: ConstructorParameters<typeof NodePgTransaction<TSchema, ExtractTablesWithRelations<TSchema>>>[2];
}

function drizzleAdapter<TSchema extends Record<string, unknown>>(
  db: PoolDatabase<TSchema>,
): Adapter<TenantTx<TSchema>> {
  const pool = db.$client;
  const session = db._?.session as unknown as Session<TSchema> | undefined;
  // A single client would be shared by all requests, and their transactions would be one.
  if (typeof pool?.connect !== 'function' || !('totalCount' in pool) || session?.client !== pool) {
    throw new TenantError(
      'unsupported_database',
      'withTenant needs what drizzle() of drizzle-orm/node-postgres makes over a pg.Pool',
    );
  }
  const { dialect, schema } = session;
  return {
    ask: askPool(pool),
    write: setLocal,
    transact: (settings, inside, assertOpen) =>
      transactOnPool(pool, settings, (send) => {
        // Logger and cache too are those of the session; the connection alone is another.
        const bound = Object.create(session, { client: { value: tenantClient(send, assertOpen) } });
        return inside(new NodePgTransaction(dialect, bound, schema));
      }),
  };
}

/** What Drizzle takes for its client. */
function tenantClient(send: Send, assertOpen: () => void) {
  return {
    async query(query: pg.QueryConfig, values?: unknown[]) {
      assertOpen();
      return send(query, values);
    },
  };
}
