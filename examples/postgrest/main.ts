import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { type Claims, request } from './request.ts';

/**
 * Creates, or brings up to date, roles and tables, and gives the login role a password. `ownerUrl` logs in as a
 * role with CREATEROLE that owns the database; gives the connection string that PostgREST would get.
 */
export async function setUp(ownerUrl: string): Promise<string> {
  const login = new URL(ownerUrl);
  login.username = 'orders_authenticator';
  login.password = randomBytes(24).toString('base64url');
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  try {
    await owner.query(await readFile(new URL('./schema.sql', import.meta.url), 'utf8'));
    await owner.query(`alter role orders_authenticator login password '${login.password}'`);
  } finally {
    await owner.end();
  }
  return login.href;
}

/** One request with these claims, or without a token, as the PostgREST of `postgrest.conf` would run it. */
export function ask<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  claims: Claims | undefined,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  const settings = { anonRole: 'orders_anon', preRequest: 'private.choose_role' };
  return request<Row>(pool, claims ? { ...settings, claims } : settings, text, values);
}

/** What an access token of that tenant says; `overrides` replace members, and undefined leaves one out. */
export function claimsOf(tenant_id: string, overrides: Claims = {}): Claims {
  return { tenant_id, aud: 'https://api.example.test', sub: 'client-1', scope: 'read write', ...overrides };
}

async function show(pool: pg.Pool): Promise<void> {
  const tenants = { acme: randomUUID(), globex: randomUUID() };
  for (const [slug, tenant_id] of Object.entries(tenants)) {
    const insert = 'insert into orders.orders (item, amount_cents) values ($1, 8900), ($2, 24900)';
    await ask(pool, claimsOf(tenant_id), insert, [`${slug} keyboard`, `${slug} monitor`]);
  }
  for (const [slug, tenant_id] of Object.entries(tenants)) {
    const rows = await ask<{ item: string }>(pool, claimsOf(tenant_id), 'select item from orders.orders');
    console.log(`${slug} sees ${rows.map(({ item }) => item).join(', ')}`);
  }
  const smuggle = "insert into orders.orders (tenant_id, item, amount_cents) values ($1, 'smuggled', 1)";
  await ask(pool, claimsOf(tenants.acme), smuggle, [tenants.globex]).catch(({ message }) =>
    console.log(`acme writes for globex: ${message}`),
  );
  await ask(pool, undefined, 'select item from orders.orders').catch(({ message }) =>
    console.log(`nobody reads: ${message}`),
  );
}

if (import.meta.main) {
  const { DATABASE_URL } = process.env;
  if (!DATABASE_URL) {
    throw new Error(
      'DATABASE_URL must be set to the owner of an empty database; npm run example postgrest brings its own',
    );
  }
  const pool = new pg.Pool({ connectionString: await setUp(DATABASE_URL), max: 1 });
  try {
    await show(pool);
  } finally {
    await pool.end();
  }
}
