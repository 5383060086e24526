import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { checkProtection, probeIsolation } from '#src/database/protection.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;
let db: Database;

beforeEach(async () => {
  database = await createTestDatabase();
  db = makeDatabase({ url: database.runtimeUrl, max: 2 });
});
afterEach(async () => {
  await db.close();
  await database.drop();
});

/** Runs statements as the superuser; \`:runtime\` stands for the runtime role. */
async function asSuperuser(...statements: string[]) {
  const runtime = new URL(database.runtimeUrl).username;
  await runStatements(
    database.superUrl,
    statements.map((statement) => statement.replaceAll(':runtime', runtime)),
  );
}

test('finds nothing wrong with a freshly migrated database [A-176]', async () => {
  expect(await checkProtection(db)).toEqual([]);
  expect(await probeIsolation(db)).toEqual([]);
});

test('probes without leaving anything behind', async () => {
  expect(await probeIsolation(db)).toEqual([]);
  expect(await probeIsolation(db)).toEqual([]);
  expect(await runStatements(database.superUrl, ['select slug from tenants'])).toEqual([
    { slug: 'platform' },
  ]);
  expect(await runStatements(database.superUrl, ['select tenant_id from config_changes'])).toHaveLength(1);
});

const ownTenant = '(tenant_id = (select current_tenant_id()))';

describe('names what breaks a rule', () => {
  test.each([
    [
      'row-level security off',
      'alter table users disable row level security',
      'table users: row-level security is not enabled',
    ],
    [
      'row-level security not forced [P-02]',
      'alter table users no force row level security',
      'table users: row-level security is not forced, so its owner sees every tenant',
    ],
    [
      'a table without policies',
      'drop policy tenant_isolation on users',
      'table users: no policy for select',
    ],
    [
      'a policy for too few commands',
      `drop policy tenant_isolation on users; create policy own on users for select using ${ownTenant}`,
      'table users: no policy for delete',
    ],
    [
      'a policy for one role only',
      'alter policy tenant_isolation on users to :runtime',
      'table users: no policy for select',
    ],
    [
      'a policy that shows all [P-21]',
      'create policy all_rows on users for select using (true)',
      'table users: policy all_rows does not limit rows to the tenant (using true)',
    ],
    [
      'a policy that mentions the tenant and shows more',
      `alter policy tenant_isolation on users using (${ownTenant} or email_verified)`,
      'table users: policy tenant_isolation does not limit rows to the tenant',
    ],
    [
      'a policy that lets through what is null',
      "alter policy tenant_isolation on users using (tenant_id = nullif(current_setting('app.current_tenant_id', true), '')::uuid)",
      'table users: policy tenant_isolation does not limit rows to the tenant',
    ],
    [
      'a policy without WITH CHECK [P-11]',
      `create policy more on users using ${ownTenant}`,
      'table users: policy more has no WITH CHECK',
    ],
    [
      'a policy that lets anything be written [P-11]',
      'alter policy tenant_isolation on users with check (true)',
      'table users: policy tenant_isolation does not limit what is written to the tenant (check true)',
    ],
    [
      'a named policy that says something else',
      'alter policy by_presented_key on protocol_store using (true)',
      'table protocol_store: policy by_presented_key is not what its name stands for (using true, check null)',
    ],
    [
      'a named policy for more commands',
      'drop policy by_presented_key on directory; create policy by_presented_key on directory using (key_hash = (select presented_key()))',
      'table directory: policy by_presented_key is not what its name stands for',
    ],
    [
      'a new table without row-level security [A-177, P-22]',
      'create table notes (tenant_id uuid not null, id uuid, primary key (tenant_id, id))',
      'table notes: row-level security is not enabled',
    ],
    [
      'a new table without a tenant [A-177, P-22]',
      'create table notes (id uuid primary key)',
      'table notes has no tenant_id',
    ],
    [
      'a tenant that may be null',
      'alter table client_secrets drop constraint client_secrets_pkey, alter tenant_id drop not null',
      'table client_secrets: tenant_id is not uuid not null',
    ],
    [
      'a foreign key without the tenant [P-08, P-09]',
      'alter table users add unique (id); create table notes (tenant_id uuid not null, user_id uuid references users (id))',
      'table notes: foreign key notes_user_id_fkey does not carry tenant_id',
    ],
    [
      'a unique key over all tenants [P-10]',
      'create unique index users_email on users (email, tenant_id)',
      'table users: unique key users_email does not start with tenant_id',
    ],
    [
      'a unique key on an expression [P-10]',
      'create unique index users_name on users (lower(name))',
      'table users: unique key users_name does not start with tenant_id',
    ],
    [
      'a view with the rights of its owner [P-13]',
      'create view all_users as select * from users',
      'view all_users is not security_invoker',
    ],
    [
      'a materialized view [P-13]',
      'create materialized view all_users as select * from users',
      'materialized view all_users holds rows that no policy guards',
    ],
    [
      'a security definer function [P-14]',
      "create function all_users() returns setof users language sql security definer as 'select * from users'",
      'function all_users() is security definer',
    ],
    [
      'a leakproof function [P-16]',
      "create function seen(text) returns boolean language sql leakproof as 'select true'",
      'function seen(text) is leakproof',
    ],
    [
      'TRUNCATE [P-12]',
      'grant truncate on users to :runtime',
      'has TRUNCATE on table users, which no policy restrains',
    ],
    [
      'REFERENCES on one column [P-12]',
      'grant references (email) on users to public',
      'has REFERENCES on table users, which no policy restrains',
    ],
    [
      'TRIGGER [P-12]',
      'grant trigger on schema_migrations to :runtime',
      'has TRIGGER on table schema_migrations, which no policy restrains',
    ],
    ['a table of the runtime role [P-01]', 'alter table users owner to :runtime', 'owns tables users'],
    [
      'a function of the runtime role [P-01]',
      'alter function current_tenant_id() owner to :runtime',
      'owns functions current_tenant_id()',
    ],
  ])('%s', async (_, statements, problem) => {
    await asSuperuser(statements);
    expect(await checkProtection(db)).toContainEqual(expect.stringContaining(problem));
  });

  test('and takes a view that asks the policies of its reader [P-13]', async () => {
    await asSuperuser('create view my_users with (security_invoker = on) as select * from users');
    expect(await checkProtection(db)).toEqual([]);
  });

  test('and takes a policy that only narrows', async () => {
    await asSuperuser('create policy verified on users as restrictive using (email_verified)');
    expect(await checkProtection(db)).toEqual([]);
  });
});

describe('names a runtime role that passes by the policies [P-01]', () => {
  const name = `test_strong_${randomBytes(4).toString('hex')}`;

  async function checkAs(...statements: string[]) {
    const owner = new URL(database.ownerUrl).username;
    const url = new URL(database.runtimeUrl);
    [url.username, url.password] = [name, 'secret'];
    const strong = makeDatabase({ url: url.href, max: 1 });
    try {
      await asSuperuser(
        `create role ${name} login password 'secret'`,
        ...statements.map((statement) => statement.replaceAll(':owner', owner)),
      );
      return await checkProtection(strong);
    } finally {
      await strong.close();
      await asSuperuser(
        `drop owned by ${name}`,
        `drop role if exists ${name}`,
        `drop role if exists ${name}_group`,
      );
    }
  }

  test.each([
    ['a superuser', `alter role ${name} superuser`, 'is a superuser'],
    ['BYPASSRLS', `alter role ${name} bypassrls`, 'has BYPASSRLS'],
    ['CREATEROLE', `alter role ${name} createrole`, 'has CREATEROLE'],
    ['REPLICATION', `alter role ${name} replication`, 'has REPLICATION'],
    ['a member of the owner', `grant :owner to ${name}`, 'is a member of role :owner, which '],
    [
      'a member of a role that reads files',
      `grant pg_read_server_files to ${name}`,
      'is a member of role pg_read_server_files, which reaches the files of the server',
    ],
  ])('%s', async (_, statement, problem) => {
    const owner = new URL(database.ownerUrl).username;
    const problems = await checkAs(statement);
    expect(problems).toContainEqual(
      expect.stringContaining(`role ${name} ${problem.replace(':owner', owner)}`),
    );
  });

  test('a member of a member of a role that bypasses', async () => {
    const problems = await checkAs(
      `create role ${name}_group nologin`,
      `grant ${name}_group to ${name}`,
      `grant pg_execute_server_program to ${name}_group`,
    );
    expect(problems).toContain(
      `role ${name} is a member of role pg_execute_server_program, which reaches the files of the server`,
    );
  });
});

describe('shows by trying', () => {
  test.each([
    [
      'a table without row-level security',
      'alter table users disable row level security',
      [
        'table users: a tenant can give its rows to another',
        'table users: a tenant can read rows of another',
        'table users: a tenant can change rows of another',
        'table users: a tenant can delete rows of another',
        'table users: a tenant can add rows to another',
        'table users: a query without a tenant does not raise',
      ],
    ],
    [
      'a policy that shows all',
      'create policy all_rows on users for select using (true)',
      ['table users: a tenant can read rows of another'],
    ],
    [
      'a policy that lets anything be written',
      'alter policy tenant_isolation on users with check (true)',
      ['table users: a tenant can add rows to another'],
    ],
    [
      'a new table without protection',
      'create table notes (tenant_id uuid not null, id uuid not null); grant all on notes to :runtime',
      [
        'table notes: a tenant can add rows to another',
        'table notes: a query without a tenant does not raise',
      ],
    ],
    [
      'a function that does not raise without a tenant',
      "create or replace function current_tenant_id() returns uuid language sql stable as $$ select nullif(current_setting('app.current_tenant_id', true), '')::uuid $$",
      ['table tenants: a query without a tenant does not raise'],
    ],
    [
      'a function that answers with any tenant',
      "create or replace function current_tenant_id() returns uuid language sql stable as $$ select coalesce(nullif(current_setting('app.probe', true), ''), '00000000-0000-4000-8000-000000000001')::uuid $$",
      [
        'table tenants: a query without a tenant does not raise',
        expect.stringContaining('a tenant cannot write its own rows'),
      ],
    ],
  ])('%s', async (_, statements, problems) => {
    await asSuperuser(statements);
    expect(await probeIsolation(db)).toEqual(expect.arrayContaining(problems));
  });

  test('a sample row in every table with a tenant, so that no probe passes for want of rows', async () => {
    const tables = await runStatements(database.superUrl, [
      "select table_name::text as name from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'",
    ]);
    const unprotected = tables.map(({ name }) => `alter table ${name} disable row level security`);
    await asSuperuser(...unprotected);
    const problems = await probeIsolation(db);
    expect(tables.length).toBeGreaterThan(10);
    for (const { name } of tables) {
      expect(problems).toContain(`table ${name}: a tenant can change rows of another`);
    }
  });
});
