import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';
import { startNode } from '#test/support/server.ts';

let database: TestDatabase;
let env: Record<string, string>;
const folder = mkdtempSync(path.join(tmpdir(), 'tessera-cli-'));
const MASTER_KEYS = makeMasterKeyText('test');

beforeAll(async () => {
  database = await createTestDatabase();
  env = { DATABASE_URL: database.runtimeUrl, MIGRATION_DATABASE_URL: database.ownerUrl, MASTER_KEYS };
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true });
});

/** Runs the command as a process of its own, as people do. */
async function tessera(args: string[], { input = '', ...more }: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/main.ts', ...args], {
    env: { PATH: process.env['PATH'], ...env, ...more },
  });
  child.stdin.end(input);
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('exit', resolve)),
  ]);
  return { stdout, stderr, code };
}

const json = ({ stdout }: { stdout: string }) => {
  expect(stdout.trimEnd()).not.toContain('\n');
  return JSON.parse(stdout);
};

function write(name: string, document: object): string {
  const file = path.join(folder, name);
  writeFileSync(file, JSON.stringify(document));
  return file;
}

const acme = {
  tenants: [
    {
      slug: 'acme',
      users: [{ email: 'alice@acme.test', password: `\${ALICE_PASSWORD}` }],
      clients: [{ client_id: 'acme-machine', grant_types: ['client_credentials'] }],
    },
  ],
};
const ALICE_PASSWORD = 'correct horse battery';

describe('a word that is not understood', () => {
  test('gives the usage on standard error and status 2', async () => {
    const { stdout, stderr, code } = await tessera(['why']);
    expect({ stdout, code }).toEqual({ stdout: '', code: 2 });
    expect(stderr).toMatch(/^tessera: there is no command why\n\nUsage: tessera COMMAND/);
  });

  test('gives one document with --json', async () => {
    const answer = await tessera(['why', '--json']);
    expect(answer.code).toBe(2);
    expect(json(answer)).toEqual({
      ok: false,
      code: 'usage',
      problems: ['tessera: there is no command why'],
    });
  });

  test('unless it asks for help', async () => {
    expect(await tessera(['--help'])).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('apply FILE'),
    });
  });
});

test('names every problem of the configuration and gives status 1', async () => {
  const answer = await tessera(['plan', 'x.yaml', '--json'], { PORT: 'x', TESSERA_COLOUR: 'red' });
  expect(answer.code).toBe(1);
  expect(json(answer)).toMatchObject({
    code: 'config',
    problems: [expect.stringMatching(/^PORT: /), expect.stringMatching(/^TESSERA_COLOUR: /)],
  });
});

test('plans, applies and finds unchanged, with variables of the environment', async () => {
  const file = write('acme.json', acme);
  const planned = json(await tessera(['plan', file, '--json'], { ALICE_PASSWORD }));
  expect(planned.summary).toEqual({ create: 3, update: 0, erase: 0, unchanged: 0 });

  const applied = await tessera(['apply', file], { ALICE_PASSWORD });
  expect(applied).toMatchObject({ code: 0, stderr: '' });
  expect(applied.stdout).toMatch(/\+ acme {2}client {2}acme-machine\n3 created, 0 updated, 0 unchanged\n/);
  expect(applied.stdout).toMatch(/shown only now:\n {2}acme-machine {2}[\w-]{43}\n$/);
  expect(applied.stdout).not.toContain(ALICE_PASSWORD);
  expect(applied.stdout).not.toContain('\u001b');

  const again = json(await tessera(['apply', file, '--json'], { ALICE_PASSWORD }));
  expect(again).toMatchObject({ ok: true, summary: { unchanged: 3 }, generated_secrets: [] });
});

test('reads standard input for "-"', async () => {
  const answer = await tessera(['plan', '-', '--json'], { input: 'tenants: [{ slug: stdin }]' });
  expect(json(answer).changes).toEqual([
    { action: 'create', kind: 'tenant', tenant: 'stdin', name: 'stdin' },
  ]);
});

test.each([
  ['that is wrong', { tenants: [{ slug: '-' }] }, 'invalid', /^tenants\[0\]\.slug: /],
  ['that lacks a variable', acme, 'invalid', /the variable ALICE_PASSWORD is not set$/],
])('refuses a file %s, by path, with status 1', async (_, document, code, problem) => {
  const file = write('wrong.json', document);
  const answer = await tessera(['apply', file, '--json']);
  expect(answer.code).toBe(1);
  expect(json(answer)).toEqual({ ok: false, code, problems: [expect.stringMatching(problem)] });
  expect(await tessera(['apply', file])).toMatchObject({
    stdout: '',
    stderr: expect.stringMatching(problem.source.replace('$', '\n$')),
  });
});

test('refuses a file that is not there', async () => {
  const { stderr, code } = await tessera(['apply', path.join(folder, 'missing.yaml')]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/missing\.yaml cannot be read \(ENOENT\)\n$/);
});

test('exports what apply takes', async () => {
  await tessera([
    'apply',
    write('globex.json', { tenants: [{ slug: 'globex', name: 'Globex', domains: ['globex.test'] }] }),
  ]);
  const exported = await tessera(['export', '--tenant', 'globex']);
  expect(exported.stdout).toBe(
    'tenants:\n  - slug: globex\n    name: Globex\n    domains:\n      - globex.test\n',
  );
  const planned = json(await tessera(['plan', '-', '--json'], { input: exported.stdout }));
  expect(planned.summary).toMatchObject({ create: 0, update: 0 });
  expect(await tessera(['export', '--tenant', 'nobody'])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'there is no tenant nobody\n',
  });
});

test('migrates once, and refuses to without an owner', async () => {
  await runStatements(database.superUrl, [
    'drop schema public, pgboss cascade',
    'create schema public',
    'grant usage on schema public to public',
    `alter schema public owner to ${new URL(database.ownerUrl).username}`,
  ]);
  const refused = await tessera(['apply', write('acme.json', acme), '--json'], {
    ALICE_PASSWORD,
    MIGRATION_DATABASE_URL: '',
  });
  expect(refused.code).toBe(1);
  expect(json(refused)).toMatchObject({
    code: 'migration',
    problems: [expect.stringContaining('tessera migrate')],
  });

  expect(json(await tessera(['migrate', '--json'])).applied).toContain('0001_create_tenants.sql');
  expect(await tessera(['migrate'])).toMatchObject({ code: 0, stdout: 'The database is up to date.\n' });
});

test('plans a rotation of the keys, says so when asked again, and rotates at once', async () => {
  const planned = json(await tessera(['keys', 'rotate', '--json'])).rotations;
  expect(planned.map(({ alg }: { alg: string }) => alg).toSorted()).toEqual([
    'ES256',
    'EdDSA',
    'PS256',
    'RS256',
  ]);
  expect(planned[0]).toMatchObject({ planned_now: true });
  expect(new Date(planned[0].active_from).getTime()).toBeGreaterThan(Date.now());

  const again = await tessera(['keys', 'rotate']);
  expect(again.stdout).toMatch(/as planned before/);
  const atOnce = json(await tessera(['keys', 'rotate', '--now', '--json'])).rotations;
  expect(atOnce[0].kid).toBe(planned[0].kid);
  expect(new Date(atOnce[0].active_from).getTime()).toBeLessThanOrEqual(Date.now());
});

test('finds an installation in order while the server runs, and applies beside it', async () => {
  const node = await startNode({ urls: database }, { env: { MASTER_KEYS } });
  try {
    const found = json(await tessera(['doctor', '--json'], { ISSUER: node.url }));
    expect(found.checks.filter(({ status }: { status: string }) => status !== 'ok')).toEqual([]);
    expect((await tessera(['apply', write('acme.json', acme)], { ALICE_PASSWORD })).code).toBe(0);
  } finally {
    await node.stop();
  }
});

test('finds what is wrong, with status 1', async () => {
  const answer = await tessera(['doctor'], { MASTER_KEYS: makeMasterKeyText('other') });
  expect(answer.code).toBe(1);
  expect(answer.stdout).toMatch(/✗ master_keys .*\(MASTER_KEYS\)\n/);
});
