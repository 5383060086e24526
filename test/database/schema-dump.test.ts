import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { dumpSchema } from '#src/database/dump-schema.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

async function dump(): Promise<string> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  try {
    return await dumpSchema(client, new URL(database.runtimeUrl).username);
  } finally {
    await client.end();
  }
}

test('db/schema.sql is what the migrations make; when this fails, run "npm run schema"', async () => {
  expect(await dump()).toBe(await readFile(new URL('../../db/schema.sql', import.meta.url), 'utf8'));
});

test.each([
  ['a column', 'alter table users add nickname text'],
  ['a default', "alter table users alter name set default ''"],
  ['a column that may be null', 'alter table users alter email drop not null'],
  ['a constraint', 'alter table users drop constraint users_email_check'],
  ['an index', 'create index users_name on users (tenant_id, name)'],
  ['a policy', 'create policy verified on users as restrictive using (email_verified)'],
  ['row-level security that is not forced', 'alter table users no force row level security'],
  ['a trigger', 'drop trigger sync_directory on clients'],
  ['a function', "create function one() returns integer language sql as 'select 1'"],
  ['a right on a table', 'grant truncate on users to :runtime'],
  ['a right on a column', 'grant references (email) on users to public'],
  ['a right on a function', 'grant execute on procedure watch_config_table(regclass) to :runtime'],
  ['a right on the schema', 'grant create on schema public to :runtime'],
])('a change shows: %s', async (_, statement) => {
  const before = await dump();
  await runStatements(database.superUrl, [
    statement.replace(':runtime', new URL(database.runtimeUrl).username),
  ]);
  expect(await dump()).not.toBe(before);
});

test.each([
  ['a view', 'create view everybody as select * from users'],
  ['a type', "create type everybody as enum ('one')"],
  ['a sequence', 'create sequence everybody'],
])('refuses to leave out %s', async (_, statement) => {
  await runStatements(database.ownerUrl, ['grant create on schema public to current_user', statement]);
  await expect(dump()).rejects.toThrow('the schema dump would leave out everybody');
});
