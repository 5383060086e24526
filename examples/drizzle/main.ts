import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { createVerifier } from '#tessera/rls';
import { listOrders, placeOrder } from './orders.ts';
import { orders } from './schema.ts';

/**
 * Lists the orders of the tenant whose access token is in ACCESS_TOKEN; with an item and its price in cents it
 * places that order first.
 */
export async function main(
  { DATABASE_URL, ISSUER, AUDIENCE = 'https://api.example.test', ACCESS_TOKEN }: NodeJS.ProcessEnv,
  [item, amount_cents]: string[],
): Promise<void> {
  if (!DATABASE_URL || !ISSUER || !ACCESS_TOKEN) {
    throw new Error('DATABASE_URL, ISSUER and ACCESS_TOKEN must be set');
  }
  const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE });
  const verify = (scope: string) => verifier.verify(ACCESS_TOKEN, undefined, { scope });
  // With `pipeline` the first statement leaves in the flight of BEGIN.
  const pool = new pg.Pool({ connectionString: DATABASE_URL, pipeline: true } as pg.PoolConfig);
  const db = drizzle({ client: pool, schema: { orders } });
  try {
    if (item) await placeOrder(db, await verify('write'), { item, amount_cents: Number(amount_cents) });
    console.log(JSON.stringify(await listOrders(db, await verify('read'))));
  } finally {
    await pool.end();
  }
}

if (import.meta.main) await main(process.env, process.argv.slice(2));
