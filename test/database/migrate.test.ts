import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { dumpSchema } from '#src/database/dump-schema.ts';
import { migrate, pendingMigrations, readMigrations } from '#src/database/migrate.ts';
import { makeDatabase } from '#src/database/pool.ts';
import { checkProtection } from '#src/database/protection.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

const migrations = await readMigrations();
const names = migrations.map(({ name }) => name);
let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

/** Takes back all migrations, so that the database is as it was before the first one. */
const empty = () =>
  runStatements(database.ownerUrl, [
    'drop schema public cascade',
    'drop schema if exists pgboss cascade',
    'create schema public',
    'grant usage on schema public to public',
  ]);

/** Applies the first ones as a release that knew no more of them. */
async function migrateTo(count: number) {
  await empty();
  await runStatements(database.ownerUrl, [
    'create table schema_migrations (name text primary key, checksum bytea not null, applied_at timestamptz not null default now())',
    ...migrations
      .slice(0, count)
      .flatMap(({ name, sql, checksum }) => [
        sql,
        `insert into schema_migrations (name, checksum) values ('${name}', '\\x${checksum.toString('hex')}')`,
      ]),
  ]);
}

const runtimeRole = () => new URL(database.runtimeUrl).username;
const runMigrate = () => migrate({ url: database.ownerUrl, runtimeRole: runtimeRole() });

async function readTables(): Promise<unknown[]> {
  const rows = await runStatements(database.superUrl, [
    "select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
  ]);
  return rows.map(({ name }) => name);
}

async function readApplied(): Promise<unknown[]> {
  const rows = await runStatements(database.superUrl, ['select name from schema_migrations order by name']);
  return rows.map(({ name }) => name);
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function dump(): Promise<string> {
  const client = await connect(database.ownerUrl);
  try {
    return await dumpSchema(client, runtimeRole());
  } finally {
    await client.end();
  }
}

describe('migrate', () => {
  test('names its files so that they run in one order', () => {
    expect(names).toEqual(names.map((_, index) => expect.stringMatching(numbered(index + 1))));
  });

  test('applies all to an empty database, and nothing the second time', async () => {
    const fresh = await dump();
    await empty();
    expect(await runMigrate()).toEqual({ applied: names });
    expect(await dump()).toBe(fresh);
    expect(await runMigrate()).toEqual({ applied: [] });
    expect(await dump()).toBe(fresh);
  });

  test('applies each once when five nodes start at once', async () => {
    await empty();
    const results = await Promise.all([1, 2, 3, 4, 5].map(runMigrate));
    expect(results.filter(({ applied }) => applied.length > 0)).toEqual([{ applied: names }]);
    expect(await readApplied()).toEqual(names);
  });

  test.each(names.slice(1).map((_, index) => index + 1))(
    'brings a release with %d of them to the same protected schema as a fresh one [A-176]',
    async (count) => {
      const fresh = await dump();
      await migrateTo(count);
      expect(await runMigrate()).toEqual({ applied: names.slice(count) });
      expect(await dump()).toBe(fresh);
      const db = makeDatabase({ url: database.runtimeUrl, max: 1 });
      expect(await checkProtection(db)).toEqual([]);
      await db.close();
    },
  );

  test('takes over users as they were: marked ones keep their mark, and who has no password is invited', async () => {
    await migrateTo(names.indexOf('0012_widen_user_status.sql'));
    await runStatements(database.superUrl, [
      `insert into tenants (tenant_id, slug, name) values (gen_random_uuid(), 'acme', 'Acme'), (gen_random_uuid(), 'globex', 'Globex')`,
      `insert into users (tenant_id, email, status, password_hash)
      select tenant_id, kind || '@example.test', split_part(kind, '-', 1), hash
      from tenants, (values ('active', 'hash'), ('active-without', null), ('disabled', null), ('compromised', 'hash')) as u (kind, hash)
      where slug in ('acme', 'globex')`,
    ]);
    await runMigrate();
    const users = await runStatements(database.superUrl, [
      'select email, status, password_compromised, count(*)::int as tenants from users group by 1, 2, 3 order by 1',
    ]);
    expect(users).toEqual([
      { email: 'active-without@example.test', status: 'invited', password_compromised: false, tenants: 2 },
      { email: 'active@example.test', status: 'active', password_compromised: false, tenants: 2 },
      { email: 'compromised@example.test', status: 'compromised', password_compromised: true, tenants: 2 },
      { email: 'disabled@example.test', status: 'disabled', password_compromised: false, tenants: 2 },
    ]);
  });

  test('leaves nothing of a migration that fails, and goes on from there', async () => {
    await migrateTo(1);
    await runStatements(database.ownerUrl, ['create table user_roles ()']);
    const before = await readTables();
    await expect(runMigrate()).rejects.toMatchObject({
      name: 'MigrationError',
      message: `migration ${names[1]} failed and left nothing behind`,
      cause: { code: '42P07' },
    });
    expect(await readTables()).toEqual(before);
    expect(await readApplied()).toEqual(names.slice(0, 1));
    await runStatements(database.ownerUrl, ['drop table user_roles']);
    expect(await runMigrate()).toEqual({ applied: names.slice(1) });
  });

  test('leaves nothing of a migration that is killed half-way, and goes on from there', async () => {
    await migrateTo(1);
    const before = await readTables();
    const blocker = await connect(database.ownerUrl);
    await blocker.query('begin; lock table tenants in access exclusive mode');
    const failed = expect(runMigrate()).rejects.toThrow(`migration ${names[1]} failed`);
    let killed: unknown[] = [];
    while (killed.length === 0) {
      killed = await runStatements(database.superUrl, [
        `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'tessera migrate' and wait_event_type = 'Lock'`,
      ]);
    }
    await failed;
    await blocker.end();
    expect(await readTables()).toEqual(before);
    expect(await runMigrate()).toEqual({ applied: names.slice(1) });
  });

  test('waits for another node no matter how long that takes', async () => {
    const other = await connect(database.ownerUrl);
    await other.query("set lock_timeout = '1ms'; select pg_advisory_lock(7303014)");
    const migrated = runMigrate();
    let waiting: unknown[] = [];
    while (waiting.length === 0) {
      waiting = await runStatements(database.superUrl, [
        "select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())",
      ]);
    }
    const ended = once(other, 'end');
    await other.end();
    await ended;
    expect(await migrated).toEqual({ applied: [] });
  });
});

describe('refuses', () => {
  test('a migration that was changed after it was applied', async () => {
    await runStatements(database.ownerUrl, [
      `update schema_migrations set checksum = sha256('other') where name = '${names[0]}'`,
    ]);
    await expect(runMigrate()).rejects.toThrow(`migration ${names[0]} was changed after it was applied`);
    await expectPending(`migration ${names[0]} was changed after it was applied`);
  });

  test('a database that a newer release migrated', async () => {
    const before = await dump();
    await runStatements(database.ownerUrl, [
      "insert into schema_migrations (name, checksum) values ('9999_come_later.sql', '')",
    ]);
    const message = 'the database has migration 9999_come_later.sql, which this release does not know';
    await expect(runMigrate()).rejects.toThrow(message);
    await expectPending(message);
    expect(await dump()).toBe(before);
  });

  test('the owner as the runtime role, before it changes anything', async () => {
    await empty();
    const owner = new URL(database.ownerUrl).username;
    await expect(migrate({ url: database.ownerUrl, runtimeRole: owner })).rejects.toThrow(
      `the role "${owner}" owns the tables, so it may not be the runtime role too`,
    );
    expect(await readTables()).toEqual([]);
  });

  test('a runtime role that does not exist, where no password is known to make it', async () => {
    await expect(migrate({ url: database.ownerUrl, runtimeRole: 'nobody here' })).rejects.toThrow(
      'the runtime role "nobody here" of DATABASE_URL does not exist',
    );
  });
});

describe('the runtime role', () => {
  test('is made when it is missing, whatever its name and password, and may do what the server needs', async () => {
    const role = `test "made" ${randomBytes(4).toString('hex')}`;
    const runtimePassword = `it's "secret" \\ :runtime_role`;
    const url = new URL(database.runtimeUrl);
    [url.username, url.password] = [encodeURIComponent(role), encodeURIComponent(runtimePassword)];
    try {
      await migrate({ url: database.ownerUrl, runtimeRole: role, runtimePassword });
      const db = makeDatabase({ url: url.href, max: 1 });
      expect(await checkProtection(db)).toEqual([]);
      await db.close();
      await migrate({ url: database.ownerUrl, runtimeRole: role, runtimePassword: 'not used' });
      await runStatements(url.href, ['select from schema_migrations']);
    } finally {
      const name = role.replaceAll('"', '""');
      await runStatements(database.superUrl, [`drop owned by "${name}"`, `drop role "${name}"`]);
    }
  });

  test('gets its rights again each time, and loses those that no policy restrains', async () => {
    const fresh = await dump();
    await runStatements(database.ownerUrl, [
      `revoke all on users from ${runtimeRole()}`,
      `revoke execute on function current_tenant_id() from ${runtimeRole()}`,
      `grant truncate, references, trigger on clients to ${runtimeRole()}`,
      'grant all on protocol_store to public',
      `grant insert on schema_migrations to ${runtimeRole()}`,
      'grant execute on procedure protect_tenant_table(regclass) to public',
    ]);
    expect(await runMigrate()).toEqual({ applied: [] });
    expect(await dump()).toBe(fresh);
  });
});

describe('pendingMigrations', () => {
  test('names what is missing, all of it in an empty database', async () => {
    await expectPending([]);
    await migrateTo(2);
    await runStatements(database.ownerUrl, [
      `grant usage on schema public to ${runtimeRole()}`,
      `grant select on schema_migrations to ${runtimeRole()}`,
    ]);
    await expectPending(names.slice(2));
    await empty();
    await expectPending(names);
  });
});

async function expectPending(expected: string | string[]) {
  const pool = new pg.Pool({ connectionString: database.runtimeUrl, max: 1 });
  // Dropping the database may meet a connection that is about to end.
  pool.on('error', () => {});
  try {
    const pending = pendingMigrations(pool);
    await (typeof expected === 'string'
      ? expect(pending).rejects.toThrow(expected)
      : expect(pending).resolves.toEqual(expected));
  } finally {
    await pool.end();
  }
}

function numbered(number: number): RegExp {
  return new RegExp(`^${String(number).padStart(4, '0')}_[a-z_]+\\.sql$`);
}
