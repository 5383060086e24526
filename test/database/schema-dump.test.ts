import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { dumpSchema } from '#src/database/dump-schema.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

async function dump(database: TestDatabase): Promise<string> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  try {
    return await dumpSchema(client, new URL(database.runtimeUrl).username);
  } finally {
    await client.end();
  }
}

test('db/schema.sql is what the migrations make; when this fails, run "npm run schema"', async () => {
  const database = await createTestDatabase();
  expect(await dump(database)).toBe(await readFile(new URL('../../db/schema.sql', import.meta.url), 'utf8'));
  await database.drop();
});

describe('the dump', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database?.drop());

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
  ])('shows a change of %s', async (_, statement) => {
    const before = await dump(database);
    await runStatements(database.superUrl, [
      statement.replace(':runtime', new URL(database.runtimeUrl).username),
    ]);
    expect(await dump(database)).not.toBe(before);
  });

  test.each([
    ['a view', 'view everybody as select 1', 'view'],
    ['a type', "type everybody as enum ('one')", 'type'],
    ['a sequence', 'sequence everybody', 'sequence'],
  ])('refuses to leave out %s', async (_, object, kind) => {
    await runStatements(database.superUrl, [`create ${object}`]);
    await expect(dump(database)).rejects.toThrow('the schema dump would leave out everybody');
    await runStatements(database.superUrl, [`drop ${kind} everybody`]);
  });
});
