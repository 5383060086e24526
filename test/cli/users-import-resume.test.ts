import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { eventually } from '#test/support/eventually.ts';
import {
  createImportFixture,
  finish,
  type ImportFixture,
  jsonLines,
  manyUsers,
  read,
} from './users-import-fixture.ts';

let fixture: ImportFixture;

beforeAll(async () => {
  fixture = await createImportFixture();
});
afterAll(() => fixture?.drop());
afterEach(() => fixture.clear());

describe('killed in the middle', () => {
  const users = [
    ...manyUsers(700),
    { email: 'user5@example.test' },
    ...manyUsers(2_000).slice(700),
    { email: 'user6@example.test' },
  ];

  /** Kills the process once it has committed something and stands before a user whom another transaction makes. */
  async function interrupt(file: string): Promise<void> {
    const other = new pg.Client({ connectionString: fixture.urls.superUrl });
    await other.connect();
    await other.query('begin');
    await other.query('insert into users (tenant_id, email) values ($1, $2)', [
      fixture.acme.tenant_id,
      'user1200@example.test',
    ]);
    const child = fixture.start([file, '--tenant', 'acme']);
    const ended = once(child, 'exit');
    await eventually(async () => ((await fixture.stored()).length >= 999 ? true : undefined));
    await eventually(() => (progressOf(file)?.done.offset > 0 ? true : undefined));
    child.kill('SIGKILL');
    await ended;
    await other.query('rollback');
    await other.end();
  }

  const progressOf = (file: string) =>
    existsSync(`${file}.progress`) ? JSON.parse(readFileSync(`${file}.progress`, 'utf8')) : undefined;

  const complete = manyUsers(2_000)
    .map(({ email }) => email)
    .sort();

  test('goes on where it stopped, with nothing lost or doubled in database, counts and report', async () => {
    const file = fixture.write('users.jsonl', jsonLines(...users));
    await interrupt(file);
    const before = await fixture.stored();
    expect(before.length).toBeLessThan(1_500);
    // What stands in the report behind the last checkpoint comes again.
    writeFileSync(`${file}.report.jsonl`, 'half a li', { flag: 'a' });

    const { stdout, stderr, code } = await finish(fixture.start([file, '--tenant', 'acme', '--json']));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^goes on behind the \d+ records of an earlier run\n$/);
    const { imported, unchanged, refused, report } = JSON.parse(stdout);
    expect({ users: imported + unchanged, refused }).toEqual({ users: 2_000, refused: 2 });
    expect(read(report)).toEqual([
      { line: 701, email: 'user5@example.test', reason: 'email: line 6 has the same address' },
      { line: 2_002, email: 'user6@example.test', reason: 'email: line 7 has the same address' },
    ]);
    expect((await fixture.stored()).map(({ email }) => email)).toEqual(complete);
    expect(readdirSync(fixture.folder)).toEqual(['users.jsonl', 'users.jsonl.report.jsonl']);
  });

  test('begins anew where the file was changed in what was done', async () => {
    const file = fixture.write('users.jsonl', jsonLines(...users));
    await interrupt(file);
    fixture.write(
      'users.jsonl',
      jsonLines({ email: 'user0@example.test', name: 'Changed' }, ...users.slice(1)),
    );
    const { document, shown } = await fixture.run(file);
    expect(shown).toBe('');
    expect(document).toMatchObject({ updated: 1, refused: 2 });
    expect((await fixture.stored()).find(({ email }) => email === 'user0@example.test')).toMatchObject({
      name: 'Changed',
    });
    expect((await fixture.stored()).map(({ email }) => email)).toEqual(complete);
  });

  test('takes what was changed in the rest of the file', async () => {
    const file = fixture.write('users.jsonl', jsonLines(...users));
    await interrupt(file);
    fixture.write('users.jsonl', jsonLines(...users.slice(0, -1)));
    const { document, shown } = await fixture.run(file);
    expect(shown).toMatch(/^goes on behind/);
    expect(document).toMatchObject({ refused: 1 });
    expect((await fixture.stored()).map(({ email }) => email)).toEqual(complete);
  });

  test.each([['{"tenant_id":"'], ['{}'], ['[]']])(
    'begins anew with %j in the place of a checkpoint',
    async (content) => {
      const file = fixture.write('users.jsonl', jsonLines(...manyUsers(10)));
      fixture.write('users.jsonl.progress', content);
      const { document, shown } = await fixture.run(file);
      expect(shown).toBe('');
      expect(document).toMatchObject({ ok: true, imported: 10 });
    },
  );

  test('a file for one tenant begins anew for the other, and each gets its own', async () => {
    const file = fixture.write('users.jsonl', jsonLines(...users));
    await interrupt(file);
    const acme = await fixture.stored();
    expect((await fixture.run(file, { tenant: 'globex' })).document).toMatchObject({ imported: 2_000 });
    expect(await fixture.stored()).toEqual(acme);
    expect((await fixture.stored('globex')).length).toBe(2_000);
  });
});
