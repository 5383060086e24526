import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { migrate } from '#src/database/migrate.ts';
import { tablesWithoutTenant } from '#src/database/protection-rules.ts';
import { withTenant } from '#src/database/tenant.ts';
import { rememberDevice } from '#src/domain/credentials/known-devices.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements } from '#test/support/postgres.ts';

// Whoever can run SQL as the runtime role, as an injection could, in the words of an attacker.
let fixture: Fixture;
let attacker: pg.Client;
let acme: string;
let globex: string;

beforeAll(async () => {
  fixture = await createFixture();
  acme = fixture.acme.tenant_id;
  globex = fixture.globex.tenant_id;
  // Rights on the database itself are not copied with the template.
  await migrate({
    url: fixture.urls.ownerUrl,
    runtimeRole: new URL(fixture.urls.runtimeUrl).username,
  });
  for (const [tenant_id, key] of [
    [acme, 'key of acme'],
    [globex, 'key of globex'],
  ] as const) {
    await withTenant(fixture.db, tenant_id, async (tx) => {
      const row = { key: Buffer.from(key), model: 'Test', sealed_payload: Buffer.from(key) };
      await tx
        .insertInto('protocol_store')
        .values({ ...row, expires_at: new Date(Date.now() + 60_000) })
        .execute();
      const sealed = Buffer.from(key);
      const ends_at = new Date(Date.now() + 60_000);
      await tx
        .insertInto('sessions')
        .values({ uid_key: sealed, key: sealed, sealed_payload: sealed, expires_at: ends_at, ends_at })
        .execute();
      await tx.insertInto('server_secrets').values({ name: 'dpop_nonce', sealed_secret: sealed }).execute();
      await tx.insertInto('mails').values({ kind: 'new_device', sealed_message: sealed }).execute();
      await tx
        .insertInto('signing_keys')
        .values({ kid: 'kid', alg: 'ES256', public_jwk: '{}', sealed_private_jwk: sealed })
        .execute();
      await tx.insertInto('resource_servers').values({ identifier: 'https://api', name: key }).execute();
      const { bob } = fixture[tenant_id === acme ? 'acme' : 'globex'].users;
      await rememberDevice(tx, bob, { known: [] }, new Date());
    });
  }
  attacker = new pg.Client({ connectionString: fixture.urls.runtimeUrl });
  await attacker.connect();
});
afterAll(async () => {
  await attacker?.end();
  await fixture?.drop();
});

const forRoles = (sql: string) =>
  sql
    .replaceAll(':owner', new URL(fixture.urls.ownerUrl).username)
    .replaceAll(':runtime', new URL(fixture.urls.runtimeUrl).username)
    .replaceAll(':acme', acme)
    .replaceAll(':globex', globex)
    .replaceAll(':user', fixture.globex.users.bob);

interface Outcome {
  rows: Record<string, unknown>[];
  count: number;
  code?: string | undefined;
  message?: string;
}

/** Runs statements in one transaction under a value of the setting, and takes them back: the outcome of the last, or the first failure. */
async function attack(
  sql: string[],
  { tenant = acme, key }: { tenant?: string | undefined; key?: string } = {},
): Promise<Outcome> {
  await attacker.query('begin');
  try {
    if (tenant !== undefined) {
      await attacker.query("select set_config('app.current_tenant_id', $1, true)", [tenant]);
    }
    if (key !== undefined) {
      await attacker.query("select set_config('app.presented_key', $1, true)", [
        Buffer.from(key).toString('hex'),
      ]);
    }
    let outcome: Outcome = { rows: [], count: 0 };
    for (const statement of sql) {
      const { rows, rowCount } = await attacker.query(forRoles(statement));
      outcome = { rows, count: rowCount ?? 0 };
    }
    return outcome;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { rows: [], count: 0, code: code ?? 'no code', message };
  } finally {
    await attacker.query('rollback');
  }
}

const dump = readFileSync(new URL('../../db/schema.sql', import.meta.url), 'utf8');
/** What every node may read holds nothing but ids and numbers. */
const tables = [...dump.matchAll(/^CREATE TABLE (\w+)/gm)]
  .map(([, name]) => name!)
  .filter((name) => !(name in tablesWithoutTenant) && name !== 'config_changes');

describe.each(tables)('%s', (table) => {
  const read = (tenant: string) => attack([`select tenant_id from ${table}`], { tenant });
  const all = async () =>
    Number((await runStatements(fixture.urls.superUrl, [`select count(*) from ${table}`]))[0]!['count']);

  test('shows a tenant its own rows only, of those that all tenants have', async () => {
    const { rows } = await read(acme);
    expect(new Set(rows.map(({ tenant_id }) => tenant_id))).toEqual(new Set([acme]));
    expect(rows.length).toBeLessThan(await all());
  });

  test('shows nothing on a connection that never had a tenant, and after one that had [A-170, A-172, P-05]', async () => {
    const fresh = await runStatements(fixture.urls.runtimeUrl, [`select tenant_id from ${table}`]).catch(
      ({ code }) => code,
    );
    await read(acme);
    const used = await attacker.query(`select tenant_id from ${table}`).then(
      ({ rows }) => rows,
      ({ code }) => code,
    );
    expect([fresh, used]).toEqual(table === 'directory' ? [[], []] : ['42501', '42501']);
  });

  test.each([
    ['empty', ''],
    ['no uuid', 'not-a-uuid'],
    ['the id of nobody', '00000000-0000-4000-8000-0000000000ff'],
    ['null', 'null'],
    ['the nil uuid', '00000000-0000-0000-0000-000000000000'],
    ['a pattern', '%'],
    ['two ids', ':acme,:globex'],
    ['an id and a space', ':acme '],
    ['an id and SQL', ":acme' or true or '"],
  ])('shows nothing when the setting is %s [A-173]', async (_, tenant) => {
    const { rows, code } = await read(forRoles(tenant));
    expect(rows).toEqual([]);
    expect([undefined, '42501', '22P02']).toContain(code);
  });

  test.each([
    ['in upper case', () => acme.toUpperCase()],
    ['in braces', () => `{${acme}}`],
  ])('shows the rows of one tenant when its id is %s [A-173]', async (_, tenant) => {
    const { rows } = await read(tenant());
    expect(new Set(rows.map(({ tenant_id }) => tenant_id))).toEqual(new Set([acme]));
  });

  test('takes no row for another tenant, nor gives one away [P-11]', async () => {
    expect(await attack([`update ${table} set tenant_id = ':globex'`])).toMatchObject({ code: '42501' });
    expect(await attack([`insert into ${table} (tenant_id) values (':globex')`])).toMatchObject({
      code: '42501',
    });
    expect(await attack([`update ${table} set tenant_id = tenant_id where tenant_id = ':globex'`])).toEqual({
      rows: [],
      count: 0,
    });
    expect(await attack([`delete from ${table} where tenant_id = ':globex'`])).toEqual({
      rows: [],
      count: 0,
    });
  });
});

describe('keys do not reach over tenants', () => {
  test.each([
    [
      'a role for a user of another tenant',
      `insert into user_roles (user_id, role_name) values (':user', 'admin')`,
    ],
    [
      'a secret for a client of another tenant',
      `insert into client_secrets (client_id, secret_hash) values ('globex-web', sha256('mine'))`,
    ],
  ])('refuses %s [A-174, P-08]', async (_, sql) => {
    expect(await attack([sql])).toMatchObject({ code: '23503' });
  });

  test.each([
    [
      'a client of another tenant',
      `insert into clients (tenant_id, client_id, client_name, grant_types, token_endpoint_auth_method)
      values (':globex', 'globex-web', 'Mine', '{}', 'none') on conflict (tenant_id, client_id) do update set client_name = 'Mine'`,
      '42501',
    ],
    [
      'a client_id of another tenant',
      `insert into clients (client_id, client_name, grant_types, token_endpoint_auth_method)
      values ('globex-web', 'Mine', '{}', 'none') on conflict (tenant_id, client_id) do nothing`,
      '23505',
    ],
    [
      'a name of another tenant in the directory',
      `insert into directory (kind, key_hash, tenant_id) values ('slug', directory_key('slug', 'globex'), ':acme')
      on conflict (kind, key_hash) do update set tenant_id = ':acme'`,
      '42501',
    ],
    ['the slug of another tenant', `update tenants set slug = 'globex'`, '23505'],
  ])('refuses to take over %s, and names nobody [A-175, P-10]', async (_, sql, code) => {
    const { message, ...outcome } = await attack([sql]);
    expect(outcome).toEqual({ rows: [], count: 0, code });
    expect(message).not.toMatch(new RegExp(`${globex}|globex`));
  });
});

describe('the row that a presented key names', () => {
  const select = 'select tenant_id, key from protocol_store';

  test('is the only one to be seen without a tenant, and is neither to be locked nor changed then', async () => {
    const key = 'key of globex';
    const seen = await attack([select], { tenant: '', key });
    expect(seen.rows).toEqual([{ tenant_id: globex, key: Buffer.from(key) }]);
    expect((await attack([`${select} for update`], { tenant: '', key })).count).toBe(0);
    expect(
      await attack(['update protocol_store set consumed_at = now()'], { tenant: '', key }),
    ).toMatchObject({ count: 0 });
    expect((await attack(['delete from protocol_store'], { tenant: '', key })).count).toBe(0);
    expect((await attack([select], { tenant: '', key: 'key of nobody' })).rows).toEqual([]);
  });

  test('cannot be written to by another tenant', async () => {
    const options = { tenant: acme, key: 'key of globex' };
    const update = `update protocol_store set consumed_at = now() where tenant_id = ':globex'`;
    expect(await attack([update], options)).toMatchObject({ count: 0 });
    expect((await attack([`delete from protocol_store where tenant_id = ':globex'`], options)).count).toBe(0);
  });
});

describe('the runtime role may not [A-179]', () => {
  const [denied, notSupported] = ['42501', '0A000'];

  test.each([
    ['empty a table of all tenants [P-12]', 'truncate users', denied],
    ['empty them one after the other [P-12]', 'truncate tenants cascade', denied],
    ['copy rows in past the policies [P-15]', 'copy users from stdin', notSupported],
    ['make a table', 'create table mine ()', denied],
    ['make a temporary table', 'create temporary table users (id uuid)', denied],
    ['make a schema', 'create schema mine', denied],
    ['make a function', "create function mine() returns integer language sql as 'select 1'", denied],
    ['make an extension', 'create extension dblink', '58P01|42501'],
    ['make a trigger', 'create trigger mine after insert on users execute function sync_directory()', denied],
    ['change a policy', 'alter policy tenant_isolation on users using (true)', denied],
    ['add a policy', 'create policy mine on users using (true)', denied],
    ['drop a policy', 'drop policy tenant_isolation on users', denied],
    ['switch the policies off for a table', 'alter table users disable row level security', denied],
    ['no longer force them', 'alter table users no force row level security', denied],
    [
      'replace the function that they ask',
      'create or replace function current_tenant_id() returns uuid language sql as $$ select null::uuid $$',
      denied,
    ],
    ['run what only migrations run', "call protect_tenant_table('users')", denied],
    ['become the owner', 'set role ":owner"', denied],
    ['become the owner from the start', 'set session authorization ":owner"', denied],
    ['be made a member of the owner', 'grant ":owner" to ":runtime"', denied],
    ['give itself BYPASSRLS', 'alter role ":runtime" bypassrls', denied],
    ['make a role', 'create role mine', denied],
    ['skip triggers', 'set session_replication_role = replica', denied],
    ['have every statement logged', "select set_config('log_statement', 'all', true)", denied],
    ['read a file of the server', "select pg_read_file('/etc/passwd')", denied],
    ['write one', "copy (select 1) to '/tmp/mine'", denied],
    ['run a program', "copy (select 1) to program 'id'", denied],
    ['read what the planner saw of others', 'select * from pg_statistic', denied],
    ['read password hashes of roles', 'select * from pg_authid', denied],
  ])('%s', async (_, sql, code) => {
    expect((await attack([sql])).code).toMatch(new RegExp(`^(${code})$`));
  });

  test('open a table to others', async () => {
    const { rows } = await attack([
      'grant select on users to public',
      "select has_table_privilege('public', 'users', 'select') as open",
    ]);
    expect(rows).toEqual([{ open: false }]);
  });

  test('read all by switching row security off: that only turns silence into an error', async () => {
    const outcome = await attack(['set local row_security = off', 'select * from users']);
    expect(outcome).toMatchObject({ code: denied, message: expect.stringContaining('row-level security') });
  });

  test('copy out more than the tenant has [P-15]', async () => {
    const { count } = await attack(['select * from users']);
    expect((await attack(['copy users to stdout'])).count).toBe(count);
    expect(count).toBeLessThan((await runStatements(fixture.urls.superUrl, ['select from users'])).length);
  });

  test('read the statistics of a protected table [P-19]', async () => {
    await runStatements(fixture.urls.superUrl, ['analyze users']);
    const stats = "select from pg_stats where schemaname = 'public' and tablename = 'users'";
    expect((await runStatements(fixture.urls.superUrl, [stats])).length).toBeGreaterThan(0);
    expect((await attack([stats])).count).toBe(0);
  });

  test('hear anything on a channel: nothing is ever said on one [P-20]', async () => {
    const heard: unknown[] = [];
    attacker.on('notification', (notification) => heard.push(notification));
    await attacker.query('listen users; listen config_changes; listen "*"');
    await withTenant(fixture.db, globex, (tx) => tx.updateTable('tenants').set({ name: 'Globex' }).execute());
    await attacker.query('select 1');
    await attacker.query('unlisten *');
    expect(heard).toEqual([]);
  });
});

describe('names of its own do not hide ours [A-178]', () => {
  const read = 'select distinct tenant_id from users';

  test('functions of the temporary schema are not asked, even where it may make some', async () => {
    await runStatements(fixture.urls.superUrl, [
      forRoles(
        `do $$ begin execute format('grant temporary on database %I to ":runtime"', current_database()); end $$`,
      ),
    ]);
    const functions = [
      `create function pg_temp.current_tenant_id() returns uuid language sql as $$ select ':globex'::uuid $$`,
      `create function pg_temp.current_setting(text) returns text language sql as $$ select ':globex' $$`,
      `create function pg_temp.current_setting(text, boolean) returns text language sql as $$ select ':globex' $$`,
      'set local search_path = pg_temp, public',
    ];
    expect((await attack([...functions, read])).rows).toEqual([{ tenant_id: acme }]);
    expect((await attack([...functions, 'select public.current_tenant_id() as id'])).rows).toEqual([
      { id: acme },
    ]);
  });

  test.each([
    'set local search_path = pg_temp, public',
    "set local search_path = ''",
    'set local search_path = pg_catalog, pg_temp',
  ])('the policies ask the same functions after %s', async (path) => {
    expect((await attack([path, 'select distinct tenant_id from public.users'])).rows).toEqual([
      { tenant_id: acme },
    ]);
  });

  test('functions show a tenant nothing but itself', async () => {
    const { rows } = await attack([
      'select current_tenant_id() as id, protocol_tenant_id() as other, presented_key() as key',
    ]);
    expect(rows).toEqual([{ id: acme, other: acme, key: null }]);
  });
});

test.each([
  ['change data without saying whose [P-03]', "update users set name = 'Everybody'"],
  ['read it [P-03]', 'select from users'],
  ['dump it as if there were nothing to see [P-04]', 'set row_security = off; select from users'],
])('the owner of the tables cannot %s: it gets an error and not silence', async (_, sql) => {
  await expect(runStatements(fixture.urls.ownerUrl, [sql])).rejects.toMatchObject({ code: '42501' });
});

test('a prepared statement asks for the tenant each time that it runs [P-18]', async () => {
  await attacker.query('prepare every_user as select distinct tenant_id from users');
  for (const tenant of [acme, globex, acme, globex, acme, globex, acme]) {
    expect((await attack(['execute every_user'], { tenant })).rows).toEqual([{ tenant_id: tenant }]);
  }
  expect(await attack(['execute every_user'], { tenant: '' })).toMatchObject({ code: '42501' });
});
