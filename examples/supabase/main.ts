import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
// The Data API of Supabase is PostgREST.
import { type Claims, request } from '#examples/postgrest/request.ts';

/**
 * Creates, or brings up to date, the stub of Supabase and the tables, and gives the login role of the Data API a
 * password. `ownerUrl` logs in as a role with CREATEROLE that owns the database; gives the connection string that
 * the Data API would get.
 */
export async function setUp(ownerUrl: string): Promise<string> {
  const login = new URL(ownerUrl);
  login.username = 'authenticator';
  login.password = randomBytes(24).toString('base64url');
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  try {
    for (const file of ['./auth-stub.sql', './schema.sql']) {
      await owner.query(await readFile(new URL(file, import.meta.url), 'utf8'));
    }
    await owner.query(`alter role authenticator login password '${login.password}'`);
  } finally {
    await owner.end();
  }
  return login.href;
}

/** One request with these claims, or without a token, as the Data API would run it. */
export function ask<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  claims: Claims | undefined,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  const settings = { anonRole: 'anon', preRequest: 'private.choose_role' };
  return request<Row>(pool, claims ? { ...settings, claims } : settings, text, values);
}

/** What an access token of a user says; `overrides` replace members, and undefined leaves one out. */
export function claimsOf(tenant_id: string, sub: string, overrides: Claims = {}): Claims {
  return { tenant_id, sub, aud: 'https://api.example.test', ...overrides };
}

async function show(pool: pg.Pool): Promise<void> {
  const users = {
    alice: { slug: 'acme', claims: claimsOf(randomUUID(), randomUUID()) },
    bob: { slug: 'globex', claims: claimsOf(randomUUID(), randomUUID()) },
  };
  for (const { slug, claims } of Object.values(users)) {
    const insert = 'insert into orders (item, amount_cents) values ($1, 8900), ($2, 24900)';
    await ask(pool, claims, insert, [`${slug} keyboard`, `${slug} monitor`]);
  }
  for (const [name, { slug, claims }] of Object.entries(users)) {
    const rows = await ask<{ item: string }>(pool, claims, 'select item from orders');
    console.log(`${name} of ${slug} sees ${rows.map(({ item }) => item).join(', ')}`);
  }
  const colleague = { ...users.alice.claims, sub: randomUUID() };
  const changed = await ask(pool, colleague, 'update orders set amount_cents = 0 returning id');
  console.log(`a colleague of alice changes ${changed.length} of her orders`);
  const smuggle = "insert into orders (tenant_id, item, amount_cents) values ($1, 'smuggled', 1)";
  await ask(pool, users.alice.claims, smuggle, [users.bob.claims['tenant_id']]).catch(({ message }) =>
    console.log(`alice writes for globex: ${message}`),
  );
  await ask(pool, undefined, 'select item from orders').catch(({ message }) =>
    console.log(`nobody reads: ${message}`),
  );
}

if (import.meta.main) {
  const { DATABASE_URL } = process.env;
  if (!DATABASE_URL) {
    throw new Error(
      'DATABASE_URL must be set to the owner of an empty database; npm run example supabase brings its own',
    );
  }
  const pool = new pg.Pool({ connectionString: await setUp(DATABASE_URL), max: 1 });
  try {
    await show(pool);
  } finally {
    await pool.end();
  }
}
