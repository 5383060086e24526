import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { startOrdersApi } from '#examples/orders-api/main.ts';
import { seedOrders, setupOrders } from '#examples/orders-api/setup.ts';
import type { Log } from '#src/lib/log.ts';
import type { Demo } from './demo.ts';

const database = 'orders';
const runtimeUser = 'orders_api';
const preferredPort = 4001;

/**
 * Starts the example API beside the server, on a database of its own with its own owner and role, as any product would have
 * one. It knows the issuer's address and nothing else of us.
 */
export async function startDemoOrders(
  demo: Demo,
  embeddedUrl: (database: string, role: 'owner') => string,
  log: Log,
): Promise<{ url: string; close(): Promise<void> }> {
  await createDatabase(embeddedUrl('tessera', 'owner'));
  const ownerUrl = embeddedUrl(database, 'owner');
  const runtimePassword = randomBytes(24).toString('base64url');
  await setupOrders({ ownerUrl, runtimeUser, runtimePassword });
  await seedOrders({ databaseUrl: ownerUrl, tenants: demo.tenants });
  const databaseUrl = new URL(ownerUrl);
  databaseUrl.username = runtimeUser;
  databaseUrl.password = runtimePassword;
  const options = {
    databaseUrl: databaseUrl.href,
    issuer: demo.issuer,
    audience: demo.resource,
    onError: (err: unknown) => log.error({ err }, 'orders API failed'),
  };
  try {
    return await startOrdersApi({ ...options, port: preferredPort });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') {
      throw error;
    }
    return startOrdersApi({ ...options, port: 0 });
  }
}

async function createDatabase(ownerUrl: string) {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
    if (rowCount === 0) {
      await client.query(`create database ${client.escapeIdentifier(database)}`);
    }
  } finally {
    await client.end();
  }
}
