import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { seedOrders, setupOrders } from '#examples/orders-api/setup.ts';
import { readConfig } from '#src/config.ts';
import { startEmbedded } from '#src/database/embedded.ts';
import { type DemoTenant, ensureDemo } from '#src/demo/demo.ts';
import { makeLog } from '#src/lib/log.ts';
import { startServer } from '#src/serve.ts';

/**
 * The server with its demo tenants on a free port, and beside it the database of the orders: for each tenant the
 * environment of a program that has that tenant's access token.
 */
export async function startExampleServer(dataDir: string) {
  const config = readConfig({ DATA_DIR: dataDir, PORT: '0' });
  const server = await startServer(config, makeLog({ level: 'warn' }));
  // Joins the server's.
  const embedded = await startEmbedded({ dataDir });
  const stop = async () => {
    await embedded.stop();
    await server.stop();
  };
  try {
    const demo = await ensureDemo(server.services);
    const ownerUrl = await createDatabase(embedded.url);
    const runtimePassword = randomBytes(24).toString('base64url');
    await setupOrders({ ownerUrl, runtimePassword });
    await seedOrders({ databaseUrl: ownerUrl, tenants: demo.tenants });
    const runtime = new URL(ownerUrl);
    runtime.username = 'orders_api';
    runtime.password = runtimePassword;
    const tenants = await Promise.all(
      demo.tenants.map(async (tenant) => ({
        slug: tenant.slug,
        environment: {
          DATABASE_URL: runtime.href,
          ISSUER: server.issuer,
          AUDIENCE: demo.resource,
          ACCESS_TOKEN: await fetchToken(server.issuer, tenant),
        },
      })),
    );
    return { tenants, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createDatabase(url: (database: string, role: 'owner') => string): Promise<string> {
  const client = new pg.Client({ connectionString: url('tessera', 'owner') });
  await client.connect();
  try {
    await client.query('create database orders');
  } finally {
    await client.end();
  }
  return url('orders', 'owner');
}

async function fetchToken(issuer: string, { slug, clients }: DemoTenant): Promise<string> {
  const client = clients.find(({ grant_types }) => grant_types.includes('client_credentials'))!;
  const credentials = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64');
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read write' }),
  });
  const { access_token } = (await response.json()) as { access_token?: string };
  if (!access_token) throw new Error(`no token for ${slug}: ${response.status}`);
  return access_token;
}
