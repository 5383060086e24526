import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';

const folder = new URL('../../db/migrations/', import.meta.url);
const rolesFile = new URL('../../db/roles.sql', import.meta.url);

/** One lock for all nodes of a database: the second runner waits and then finds nothing to do. */
const migrationLock = 7_303_014;

export interface Migration {
  name: string;
  sql: string;
  checksum: Buffer;
}

/** The migrations in the order in which they run. */
export async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest() };
    }),
  );
}

/** Raised when the database was migrated by other files than these, or its owner may not migrate. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

export interface MigrateOptions {
  /** The migration owner, MIGRATION_DATABASE_URL. */
  url: string;
  /** The role of DATABASE_URL; made when it does not exist and a password is given, and granted what it needs every time. */
  runtimeRole: string;
  runtimePassword?: string | undefined;
}

/**
 * Applies what is missing, each file in a transaction of its own under one lock, then grants the runtime role its rights.
 * A file whose first line is `-- no-transaction` runs outside one. Refuses a changed or unknown applied migration, and a
 * runtime role that is the owner itself.
 */
export async function migrate({
  url,
  runtimeRole,
  runtimePassword,
}: MigrateOptions): Promise<{ applied: string[] }> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 3_000,
    lock_timeout: 2_000,
    application_name: 'tessera migrate',
  });
  // A lost connection fails the statement under way; heard by nobody it would end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('set lock_timeout = 0');
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    await client.query("set lock_timeout = '2s'");
    const owner = (await client.query<{ owner: string }>('select current_user as owner')).rows[0]!.owner;
    if (owner === runtimeRole) {
      throw new MigrationError(
        `the role "${owner}" owns the tables, so it may not be the runtime role too: point DATABASE_URL to another role than MIGRATION_DATABASE_URL`,
      );
    }
    const applied = await applyMissing(client);
    await ensureRuntimeRole(client, runtimeRole, runtimePassword);
    await grantRights(client, runtimeRole);
    return { applied };
  } finally {
    await client.end();
  }
}

async function applyMissing(client: pg.Client): Promise<string[]> {
  await client.query(
    'create table if not exists schema_migrations (name text primary key, checksum bytea not null, applied_at timestamptz not null default now())',
  );
  const migrations = await readMigrations();
  const done = await readApplied(client);
  checkApplied(migrations, done);
  const missing = migrations.filter(({ name }) => !done.has(name));
  for (const migration of missing) {
    await applyOne(client, migration);
  }
  return missing.map(({ name }) => name);
}

async function applyOne(client: pg.Client, { name, sql, checksum }: Migration) {
  const record = () =>
    client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [name, checksum]);
  if (sql.startsWith('-- no-transaction')) {
    await client.query(sql);
    await record();
    return;
  }
  await client.query('begin');
  try {
    await client.query(sql);
    await record();
    await client.query('commit');
  } catch (cause) {
    await client.query('rollback').catch(() => {});
    throw new MigrationError(`migration ${name} failed and left nothing behind`, { cause });
  }
}

async function readApplied(client: pg.ClientBase): Promise<Map<string, Buffer>> {
  const { rows } = await client.query<{ name: string; checksum: Buffer }>(
    'select name, checksum from schema_migrations',
  );
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function checkApplied(migrations: Migration[], done: Map<string, Buffer>) {
  for (const [name, checksum] of done) {
    const known = migrations.find((migration) => migration.name === name);
    if (!known) {
      throw new MigrationError(
        `the database has migration ${name}, which this release does not know: run a newer release`,
      );
    }
    if (!known.checksum.equals(checksum)) {
      throw new MigrationError(`migration ${name} was changed after it was applied`);
    }
  }
}

async function ensureRuntimeRole(client: pg.Client, role: string, password: string | undefined) {
  const { rows } = await client.query('select from pg_roles where rolname = $1', [role]);
  if (rows.length) {
    return;
  }
  if (password === undefined) {
    throw new MigrationError(
      `the runtime role "${role}" of DATABASE_URL does not exist and no password is known to make it`,
    );
  }
  await client.query(
    `create role ${client.escapeIdentifier(role)} login nosuperuser nobypassrls password ${client.escapeLiteral(password)}`,
  );
}

async function grantRights(client: pg.Client, role: string) {
  const sql = (await readFile(rolesFile, 'utf8')).replaceAll(':runtime_role', client.escapeIdentifier(role));
  await client.query('begin');
  await client.query(sql);
  await client.query('commit');
}

/** Names of the migrations that this database still lacks; read with the runtime role at start. */
export async function pendingMigrations(pool: pg.Pool): Promise<string[]> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ present: boolean }>(
      "select to_regclass('public.schema_migrations') is not null as present",
    );
    const migrations = await readMigrations();
    if (!rows[0]!.present) {
      return migrations.map(({ name }) => name);
    }
    const done = await readApplied(client);
    checkApplied(migrations, done);
    return migrations.filter(({ name }) => !done.has(name)).map(({ name }) => name);
  } finally {
    client.release();
  }
}
