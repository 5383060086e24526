import pg from 'pg';

/**
 * Two pools of the runtime role. `pool` serves requests; `aux` serves short reads and writes that a request needs while it
 * already holds a connection of `pool` (catalogue loads, replay marks): a transaction of `aux` never waits for one of `pool`,
 * so requests cannot starve one another of connections.
 */
export interface Database {
  readonly pool: pg.Pool;
  readonly aux: pg.Pool;
  /** Whether statements are prepared by name; off behind a pooler in transaction mode that does not know them. */
  readonly prepared: boolean;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  /** From `?pgbouncer=true` in DATABASE_URL. */
  pgbouncer?: boolean;
  max?: number;
  onError?: (error: Error) => void;
}

/** Makes both pools; connects lazily. Timeouts bound every wait: connecting 3 s, a statement 5 s, a lock 2 s. */
export function makeDatabase({ url, pgbouncer = false, max = 20, onError }: DatabaseOptions): Database {
  const target = new URL(url);
  target.searchParams.delete('pgbouncer');
  // A pooler in transaction mode refuses start-up parameters that it does not track.
  const limits = pgbouncer
    ? {}
    : { statement_timeout: 5_000, lock_timeout: 2_000, idle_in_transaction_session_timeout: 10_000 };
  const options: pg.PoolConfig & { pipeline: boolean } = {
    connectionString: target.href,
    application_name: 'tessera',
    connectionTimeoutMillis: 3_000,
    query_timeout: 6_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    pipeline: true,
    ...limits,
  };
  const pools = [new pg.Pool({ ...options, max }), new pg.Pool({ ...options, max: 3 })] as const;
  for (const pool of pools) {
    pool.on('error', (error) => onError?.(error));
    // The pool hears an idle connection only, and an error that nobody hears ends the process. Whoever uses the connection
    // learns of it from a statement.
    pool.on('connect', (client) => client.on('error', () => {}));
  }
  return {
    pool: pools[0],
    aux: pools[1],
    prepared: !pgbouncer,
    async close() {
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}
