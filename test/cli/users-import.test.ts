import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { decodeJwt } from 'jose';
import { importUsersFile } from '#src/cli/users-import.ts';
import { withTenant } from '#src/database/tenant.ts';
import { withImportTurn } from '#src/domain/users/import/turn.ts';
import { findUserByEmail } from '#src/domain/users/users.ts';
import { password } from '#test/support/fixture.ts';
import { completeFlow } from '#test/support/flow.ts';
import { startNode } from '#test/support/server.ts';
import {
  createImportFixture,
  finish,
  type ImportFixture,
  jsonLines,
  MASTER_KEYS,
  manyUsers,
  read,
} from './users-import-fixture.ts';

let fixture: ImportFixture;

beforeAll(async () => {
  fixture = await createImportFixture();
});
afterAll(() => fixture?.drop());
afterEach(() => fixture.clear());

describe('as a process', () => {
  test('prints one document and gives status 0, and nothing is left beside the file', async () => {
    const file = fixture.write('users.jsonl', jsonLines(...manyUsers(3)));
    const { stdout, stderr, code } = await finish(fixture.start([file, '--tenant', 'acme', '--json']));
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      imported: 3,
      updated: 0,
      unchanged: 0,
      refused: 0,
      report: null,
    });
    expect(readdirSync(fixture.folder)).toEqual(['users.jsonl']);
  });

  test('gives status 1 and a report that only its owner reads when a line was refused', async () => {
    const file = fixture.write(
      'users.jsonl',
      jsonLines({ email: 'user1@example.test' }, { email: 'nobody' }),
    );
    const { stdout, code } = await finish(fixture.start([file, '--tenant', 'acme']));
    expect(code).toBe(1);
    expect(stdout).toBe(
      `1 imported, 0 updated, 0 unchanged, 1 refused\nThe refused lines and why: ${file}.report.jsonl\n`,
    );
    expect(read(`${file}.report.jsonl`)).toEqual([{ line: 2, reason: 'email: is not an e-mail address' }]);
    expect(statSync(`${file}.report.jsonl`).mode & 0o777).toBe(0o600);
  });

  test('gives status 2 without a tenant', async () => {
    const { code, stdout, stderr } = await finish(fixture.start(['users.jsonl']));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^tessera: users import needs one FILE and --tenant SLUG\n/);
  });
});

test('two at once: the second is refused as busy and touches neither report nor checkpoint', async () => {
  const file = fixture.write('users.jsonl', jsonLines(...manyUsers(10)));
  await withImportTurn(fixture.db, fixture.acme.tenant_id, async () => {
    const { stdout, code } = await finish(fixture.start([file, '--tenant', 'acme', '--json']));
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      code: 'busy',
      problems: ['another import of this tenant is under way'],
    });
    expect(readdirSync(fixture.folder)).toEqual(['users.jsonl']);
  });
  expect((await fixture.run(file)).document).toMatchObject({ imported: 10 });
});

test('two at once of which neither is long: both come to their end, and every user is there once', async () => {
  const one = fixture.write('one.jsonl', jsonLines(...manyUsers(300)));
  const other = fixture.write(
    'other.csv',
    `email\n${manyUsers(300)
      .map(({ email }) => email)
      .join('\n')}`,
  );
  const outcomes = await Promise.all([fixture.run(one), fixture.run(other)]);
  expect(outcomes.map(({ ok }) => ok)).toEqual([true, true]);
  expect((await fixture.stored()).length).toBe(300);
});

test('an imported bcrypt user signs in while the server runs, and a second import leaves the new hash [C-69, H-03]', async () => {
  const node = await startNode(fixture, { env: { MASTER_KEYS } });
  try {
    const password_hash = (await bcrypt.hash(password, 10)).replace('$2b$', '$2y$');
    const user = { email: 'User.Y@Example.test', name: 'Imported', email_verified: true, password_hash };
    const file = fixture.write('users.jsonl', jsonLines({ ...user, roles: ['admin'] }));
    expect((await finish(fixture.start([file, '--tenant', 'acme']))).code).toBe(0);

    const { tokens } = await completeFlow(node.url, 'acme-web', { email: 'user.y@example.test' });
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      tenant_id: fixture.acme.tenant_id,
      roles: ['admin'],
    });
    expect(decodeJwt(tokens.id_token!)).toMatchObject({ email: 'user.y@example.test', email_verified: true });

    const hash = async () =>
      (await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
        findUserByEmail(tx, 'user.y@example.test'),
      ))!.password_hash!;
    const afterSignIn = await hash();
    expect(afterSignIn).toMatch(/^\$argon2id\$/);
    const again = await fixture.run(file);
    expect(again.document).toMatchObject({ ok: true, unchanged: 1 });
    expect(await hash()).toBe(afterSignIn);
  } finally {
    await node.stop();
  }
});

describe('the file', () => {
  const row = { email: 'user1@example.test' };

  test.each([
    ['users.ndjson', jsonLines(row)],
    ['users.JSONL', jsonLines(row)],
    ['users.csv', 'email\nuser1@example.test\n'],
    ['users', `\u{feff}\n ${jsonLines(row)}`],
    ['users.txt', 'email\r\nuser1@example.test'],
  ])('%s is read by its name or content', async (name, content) => {
    expect((await fixture.run(fixture.write(name, content))).document).toMatchObject({
      ok: true,
      imported: 1,
    });
  });

  test.each([
    ['empty.jsonl', ''],
    ['empty.csv', ''],
    ['empty', ''],
    ['heading.csv', '\u{feff}email,name\r\n'],
  ])('%s without a user imports none', async (name, content) => {
    expect((await fixture.run(fixture.write(name, content))).document).toEqual({
      ok: true,
      imported: 0,
      updated: 0,
      unchanged: 0,
      refused: 0,
      report: null,
    });
  });

  test.each([
    [
      'UTF-16',
      'utf16.csv',
      Buffer.from('\u{feff}email\nuser1@example.test\n', 'utf16le'),
      /is UTF-16; save it/,
    ],
    ['of plain passwords', 'users.csv', 'email,password\nuser1@example.test,hunter2\n', /plain passwords/],
    ['without names of columns', 'users.csv', 'user1@example.test,hunter2\n', /must name the columns/],
  ])('%s is refused as a whole', async (_, name, content, problem) => {
    const { document } = await fixture.run(fixture.write(name, content));
    expect(document).toEqual({ ok: false, code: 'invalid', problems: [expect.stringMatching(problem)] });
    expect(JSON.stringify(document)).not.toMatch(/hunter2|user1/);
    expect(await fixture.stored()).toEqual([]);
  });

  test('that is not there, or none, is refused', async () => {
    const problem = async (file: string) => (await fixture.run(file)).document;
    const refused = (text: RegExp) => ({
      ok: false,
      code: 'invalid',
      problems: [expect.stringMatching(text)],
    });
    expect(await problem(path.join(fixture.folder, 'missing'))).toEqual(
      refused(/missing cannot be read \(ENOENT\)$/),
    );
    expect(await problem(fixture.folder)).toEqual(refused(/is no regular file/));
  });

  test('is for a tenant that exists', async () => {
    expect((await fixture.run(fixture.write('users.jsonl', ''), { tenant: 'nobody' })).document).toEqual({
      ok: false,
      code: 'not_found',
      problems: ['there is no tenant nobody'],
    });
  });
});

describe('the report', () => {
  const hash = `$2b$31$${'a'.repeat(53)}`;
  const bad = jsonLines(
    { email: 'user1@example.test', password_hash: hash },
    { email: 'user2@example.test', password: 'hunter2' },
    { email: 'user3@example.test', [hash]: 'hunter2' },
    { email: 'hunter2' },
  );

  test('names line, address and reason, and holds no hash and no password [A-086]', async () => {
    const file = fixture.write('users.jsonl', bad);
    const report = path.join(fixture.folder, 'elsewhere.jsonl');
    expect((await fixture.run(file, { report })).document).toMatchObject({ ok: false, refused: 4, report });
    expect(read(report).map(({ line, email }) => ({ line, email }))).toEqual([
      { line: 1, email: 'user1@example.test' },
      { line: 2, email: 'user2@example.test' },
      { line: 3, email: 'user3@example.test' },
      { line: 4, email: undefined },
    ]);
    expect(readFileSync(report, 'utf8')).not.toMatch(/hunter2|31\$|aaaa/);
  });

  test('tells of the last run only', async () => {
    const file = fixture.write('users.jsonl', bad);
    await fixture.run(file);
    fixture.write('users.jsonl', jsonLines({ email: 'user1@example.test' }));
    await fixture.run(file);
    expect(readdirSync(fixture.folder)).toEqual(['users.jsonl']);
  });

  test('never takes the place of the file, nor of what is no file', async () => {
    const file = fixture.write('users.jsonl', bad);
    for (const report of [file, '/dev/null', fixture.folder]) {
      expect((await fixture.run(file, { report })).document).toMatchObject({
        ok: false,
        code: 'invalid',
        problems: [expect.stringContaining('the report needs a file of its own')],
      });
    }
    expect(readFileSync(file, 'utf8')).toBe(bad);
  });
});

describe('progress', () => {
  test('is a line for every 10,000 records where nobody looks', async () => {
    const { shown, document } = await fixture.run(
      fixture.write('users.csv', `email\n${'nobody\n'.repeat(20_500)}`),
    );
    expect(shown).toBe('10000 records\n20000 records\n');
    expect(document).toMatchObject({ refused: 20_500 });
  });

  test('is a bar on a terminal, which leaves Ctrl-C as it is', async () => {
    const handlers = process.listenerCount('SIGINT');
    const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
    const file = fixture.write('users.jsonl', jsonLines(...manyUsers(3)));
    await importUsersFile(fixture.db, { file, tenant: 'acme', report: undefined }, terminal);
    terminal.end();
    const shown = await text(terminal);
    expect(shown).toMatch(/ 0% {2}0 records.* 100% {2}3 records/s);
    expect(process.listenerCount('SIGINT')).toBe(handlers);
  });
});
