import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import type { Format } from '#src/domain/users/import/formats.ts';
import { type Batch, importUsers } from '#src/domain/users/import/import-users.ts';
import { withImportTurn } from '#src/domain/users/import/turn.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { isSomebodyWaiting, listStoredUsers } from '#test/support/import.ts';
import { runStatements } from '#test/support/postgres.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());

interface Options {
  format?: Format;
  doneUpTo?: number;
  onBatch?: (batch: Batch) => Promise<void>;
}

async function run(content: string, { format = 'jsonl', doneUpTo = 0, onBatch }: Options = {}) {
  const batches: Batch[] = [];
  async function* chunks() {
    yield Buffer.from(content);
  }
  await withImportTurn(fixture.db, fixture.acme.tenant_id, (turn) =>
    importUsers(fixture.db, turn, {
      chunks: chunks(),
      format,
      doneUpTo,
      onBatch: async (batch) => {
        batches.push(batch);
        await onBatch?.(batch);
      },
    }),
  );
  return batches;
}

const line = (fields: object) => `${JSON.stringify(fields)}\n`;
const lines = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => line({ email: `${prefix}${index}@example.test` })).join('');
const count = async (prefix: string) =>
  (await listStoredUsers(fixture, fixture.acme.tenant_id)).filter(({ email }) =>
    String(email).startsWith(prefix),
  ).length;
const refusals = (batches: Batch[]) => batches.flatMap((batch) => batch.refusals);

test('commits batch after batch, each before it is told of', async () => {
  const stored: number[] = [];
  const content = lines(1_201, 'batch');
  const batches = await run(content, { onBatch: async () => void stored.push(await count('batch')) });
  expect(stored).toEqual([500, 1_000, 1_201]);
  expect(batches.map(({ records }) => records)).toEqual([500, 500, 201]);
  expect(batches.at(-1)!.end).toBe(content.length);
  expect(batches.map(({ written }) => written.imported)).toEqual([500, 500, 201]);
});

test('stops at a failure, and what was committed stays', async () => {
  const failing = run(lines(1_200, 'stop'), { onBatch: async () => Promise.reject(new Error('disk full')) });
  await expect(failing).rejects.toThrow('disk full');
  expect(await count('stop')).toBe(500);
});

test('refuses line by line and imports the rest', async () => {
  const content = [
    '{"email":"mixed1@example.test"}',
    '{"email":"mixed2@example.test","phone":"1"}',
    'hunter2',
    '',
    '{"email":"mixed3@example.test","roles":["root"]}',
    '{"email":"MIXED1@example.test","name":"Second"}',
    '{"email":"mixed4@example.test","roles":["admin"]}',
  ].join('\r\n');
  const batches = await run(content);
  expect(refusals(batches)).toEqual([
    { line: 2, email: 'mixed2@example.test', reason: 'phone: is not a known field' },
    { line: 3, reason: 'the line is not a JSON object' },
    { line: 5, email: 'mixed3@example.test', reason: 'roles: the tenant has no root' },
    { line: 6, email: 'mixed1@example.test', reason: 'email: line 1 has the same address' },
  ]);
  expect(batches[0]!.written).toEqual({ imported: 2, updated: 0, unchanged: 0 });
});

test('knows an address again in a later batch, and one whose first line was refused is free', async () => {
  const content = [
    line({ email: 'again@example.test' }),
    line({ email: 'free@example.test', status: 'no' }),
    lines(600, 'between'),
    line({ email: 'again@example.test', name: 'Second' }),
    line({ email: 'free@example.test' }),
  ].join('');
  const batches = await run(content);
  expect(refusals(batches)).toEqual([
    {
      line: 2,
      email: 'free@example.test',
      reason: 'status: must be active, disabled, compromised or invited',
    },
    { line: 603, email: 'again@example.test', reason: 'email: line 1 has the same address' },
  ]);
  expect(await count('free')).toBe(1);
});

test('reads CSV, numbering lines as an editor does', async () => {
  const content =
    '\u{feff}email,name,roles\r\ncsv1@example.test,"Last\r\nFirst",\r\ncsv2@example.test,=1+1,admin\r\n';
  const batches = await run(content, { format: 'csv' });
  expect(refusals(batches)).toEqual([
    { line: 2, email: 'csv1@example.test', reason: expect.stringMatching(/^name: must not hold control/) },
  ]);
  const stored = await listStoredUsers(fixture, fixture.acme.tenant_id);
  expect(stored.find(({ email }) => email === 'csv2@example.test')).toMatchObject({
    name: '=1+1',
    roles: ['admin'],
  });
});

test('leaves out what an earlier run has done, and still knows its addresses', async () => {
  const done = lines(3, 'done');
  const batches = await run(done + line({ email: 'done1@example.test' }) + lines(2, 'todo'), {
    doneUpTo: done.length,
  });
  expect(await count('done')).toBe(0);
  expect(await count('todo')).toBe(2);
  expect(refusals(batches)).toEqual([
    { line: 4, email: 'done1@example.test', reason: 'email: line 2 has the same address' },
  ]);
});

test('finds the one line that the database refuses', async () => {
  await runStatements(fixture.urls.superUrl, [
    "alter table users add constraint odd_one_out check (email <> 'odd7@example.test')",
  ]);
  const batches = await run(lines(20, 'odd'));
  expect(refusals(batches)).toEqual([
    { line: 8, email: 'odd7@example.test', reason: 'the database refuses it (23514)' },
  ]);
  expect(batches[0]!.written.imported).toBe(19);
  expect(await count('odd')).toBe(19);
});

test('takes a user whom somebody makes meanwhile for the existing one that it is', async () => {
  const email = 'meanwhile@example.test';
  const { running } = await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await tx.insertInto('users').values({ email, name: 'By another' }).execute();
    const running = run(line({ email, name: 'By import' }));
    await eventually(() => isSomebodyWaiting(fixture));
    return { running };
  });
  expect((await running)[0]!.written).toEqual({ imported: 0, updated: 1, unchanged: 0 });
});

test('touches no other tenant, not even for the same addresses', async () => {
  const before = await listStoredUsers(fixture, fixture.globex.tenant_id);
  await run(
    line({ email: 'alice@example.test', name: 'Changed', status: 'disabled', roles: ['admin'] }) +
      line({ email: 'bob@example.test', roles: [] }),
  );
  expect(await listStoredUsers(fixture, fixture.globex.tenant_id)).toEqual(before);
  expect(before.map(({ name }) => name)).toEqual(['Alice', 'Bob']);
});

describe('the turn of a tenant', () => {
  const turn = (tenant_id: string) => withImportTurn(fixture.db, tenant_id, async () => 'done');

  test('is had by one at a time, while other tenants have theirs', async () => {
    await withImportTurn(fixture.db, fixture.acme.tenant_id, async () => {
      await expect(turn(fixture.acme.tenant_id)).rejects.toMatchObject({ code: 'busy' });
      expect(await turn(fixture.globex.tenant_id)).toBe('done');
    });
    expect(await turn(fixture.acme.tenant_id)).toBe('done');
  });

  test('that is lost with its connection ends the import', async () => {
    const losing = run(lines(1_100, 'lost'), {
      onBatch: async () => {
        await runStatements(fixture.urls.superUrl, [
          `select pg_terminate_backend(pid) from pg_locks
          where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
        ]);
      },
    });
    await expect(losing).rejects.toThrow();
    expect(await count('lost')).toBe(500);
  });
});
