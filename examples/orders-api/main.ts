import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { createVerifier } from '#tessera/rls';
import { DatabaseUnavailableError, refuseUnboundRole } from '#tessera/rls/pg';
import { makeApp } from './app.ts';

/**
 * Serves the API on 127.0.0.1 (`port` 0 picks a free one). Refuses to start as a database role that row-level
 * security does not bind; starts without a database, and answers 503 until there is one. `onError` is told the
 * cause of every 5xx answer.
 */
export async function startOrdersApi({
  port,
  databaseUrl,
  issuer,
  audience,
  onError = console.error,
}: {
  port: number;
  databaseUrl: string;
  issuer: string;
  audience: string;
  onError?: (error: unknown) => void;
}): Promise<{ url: string; close(): Promise<void> }> {
  const verifier = createVerifier({ issuer, audience });
  const pool = makePool(databaseUrl);
  const server = createServer(makeApp({ pool, verifier, onError }).callback());
  try {
    await refuseUnboundRole(pool).catch((error) => {
      if (!(error instanceof DatabaseUnavailableError)) throw error;
    });
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      await closed;
      await pool.end();
    },
  };
}

function makePool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: 10,
    connectionTimeoutMillis: 5_000,
    query_timeout: 8_000,
  });
  // An idle connection that is lost was already dropped from the pool; without a listener it ends the process.
  pool.on('error', () => {});
  return pool;
}

if (import.meta.main) {
  const { PORT = '4001', DATABASE_URL, ISSUER, AUDIENCE = 'https://api.example.test' } = process.env;
  if (!DATABASE_URL || !ISSUER) throw new Error('DATABASE_URL and ISSUER must be set');
  const api = await startOrdersApi({
    port: Number(PORT),
    databaseUrl: DATABASE_URL,
    issuer: ISSUER,
    audience: AUDIENCE,
  });
  console.log(`orders API on ${api.url}, trusting ${ISSUER}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void api.close());
}
