import { readFile } from 'node:fs/promises';
import pg from 'pg';

/**
 * Creates, or brings up to date, the API's login role and the schema `orders`, in one transaction. `ownerUrl` logs
 * in as a role with CREATEROLE that owns the database and becomes the owner of the tables; it need not, and should
 * not, be a superuser. An existing `runtimeUser` gets the given password.
 */
export async function setupOrders({
  ownerUrl,
  runtimeUser = 'orders_api',
  runtimePassword,
}: {
  ownerUrl: string;
  runtimeUser?: string;
  runtimePassword: string;
}): Promise<void> {
  const schema = await readFile(new URL('./schema.sql', import.meta.url), 'utf8');
  await inTransaction(ownerUrl, async (client) => {
    await client.query(schema);
    await createRuntimeRole(client, runtimeUser, runtimePassword);
    await grantPrivileges(client, runtimeUser);
  });
}

/**
 * Places three orders for each tenant that has none yet. Each tenant's are inserted under that tenant, as the API
 * would: `databaseUrl` may even be the owner's, because the policies are forced on it as well.
 */
export async function seedOrders({
  databaseUrl,
  tenants,
}: {
  databaseUrl: string;
  tenants: readonly { tenant_id: string; slug: string }[];
}): Promise<void> {
  for (const { tenant_id, slug } of tenants) {
    await inTransaction(databaseUrl, async (client) => {
      await client.query("select set_config('app.current_tenant_id', $1, true)", [tenant_id]);
      await client.query(
        `insert into orders.orders (item, amount_cents)
         select $1 || ' ' || item, amount_cents
         from (values ('keyboard', 8900), ('monitor', 24900), ('desk lamp', 3900)) as sample (item, amount_cents)
         where not exists (select from orders.orders)`,
        [slug],
      );
    });
  }
}

// NOSUPERUSER, NOBYPASSRLS, NOCREATEDB, NOCREATEROLE and NOREPLICATION are what a new role starts with; saying so
// to an existing one is for superusers only before PostgreSQL 16. What it may not be, the API checks itself.
async function createRuntimeRole(client: pg.Client, name: string, password: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [name]);
  const verb = rowCount === 0 ? 'create' : 'alter';
  const role = pg.escapeIdentifier(name);
  await client.query(`
    ${verb} role ${role} login noinherit password ${pg.escapeLiteral(password)};
    alter role ${role} set statement_timeout = '5s';
    alter role ${role} set idle_in_transaction_session_timeout = '10s'`);
}

// Neither TRUNCATE, which no policy stops, nor REFERENCES and TRIGGER, which look behind them.
async function grantPrivileges(client: pg.Client, name: string): Promise<void> {
  const { rows } = await client.query<{ database: string }>('select current_database() as database');
  const role = pg.escapeIdentifier(name);
  await client.query(`
    grant connect on database ${pg.escapeIdentifier(rows[0]!.database)} to ${role};
    grant usage on schema orders to ${role};
    grant select, insert, update, delete on orders.orders to ${role}`);
}

async function inTransaction(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('begin');
    await work(client);
    await client.query('commit');
  } finally {
    // Closing the connection rolls back what was not committed.
    await client.end();
  }
}

if (import.meta.main) {
  const { OWNER_DATABASE_URL, RUNTIME_USER = 'orders_api', RUNTIME_PASSWORD } = process.env;
  if (!OWNER_DATABASE_URL || !RUNTIME_PASSWORD) {
    throw new Error('OWNER_DATABASE_URL and RUNTIME_PASSWORD must be set');
  }
  await setupOrders({
    ownerUrl: OWNER_DATABASE_URL,
    runtimeUser: RUNTIME_USER,
    runtimePassword: RUNTIME_PASSWORD,
  });
}
