import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Finding } from '../../src/findings.ts';
import { type LoadedSchema, loadSchema, loadSql } from '../schemas/load.ts';
import { emptyFolder, rls } from './bin.ts';

let pitfalls: LoadedSchema;
let corrected: LoadedSchema;

beforeAll(async () => {
  pitfalls = await loadSchema('pitfalls');
  corrected = await loadSchema('corrected');
});

afterAll(async () => {
  await pitfalls.drop();
  await corrected.drop();
});

const findingsOf = (stdout: string): Finding[] => JSON.parse(stdout).findings;

describe('rls lint', () => {
  test('names all 24 pitfalls as JSON, with exit 1 and nothing else on either output [P-01 to P-24]', async () => {
    const { exit, stdout, stderr } = await rls(['lint', '--url', pitfalls.runtimeUrl, '--json']);
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' });
    const findings = findingsOf(stdout);
    const numbers = new Set(findings.map(({ rule }) => rule.slice(0, 4)));
    expect([...numbers].sort()).toEqual(
      Array.from({ length: 24 }, (_, index) => `P-${String(index + 1).padStart(2, '0')}`),
    );
    for (const finding of findings) {
      expect(Object.keys(finding)).toEqual(['rule', 'object', 'risk', 'fix']);
      expect(Object.values(finding).every((text) => typeof text === 'string' && text !== '')).toBe(true);
    }
  });

  test('finds nothing on the corrected twin, and exit 0', async () => {
    const { exit, stdout, stderr } = await rls(['lint', '--url', corrected.runtimeUrl, '--json']);
    expect({ exit, stderr, findings: findingsOf(stdout) }).toEqual({ exit: 0, stderr: '', findings: [] });
  });

  test('reads as any role that is asked about another one', async () => {
    const asked = await rls(['lint', '--url', pitfalls.ownerUrl, '--role', pitfalls.roles.runtime, '--json']);
    const own = await rls(['lint', '--url', pitfalls.runtimeUrl, '--json']);
    expect(findingsOf(asked.stdout)).toEqual(findingsOf(own.stdout));
  });

  test('as text says what it looked at, each finding with its SQL, and the next step; no colours in a pipe', async () => {
    const { exit, stdout } = await rls(['lint', '--url', pitfalls.runtimeUrl]);
    expect(exit).toBe(1);
    expect(stdout).toMatch(
      /^rls lint {2}rls_\w+ on .+, PostgreSQL \d+\.\d+, \d+ tables in 1 schema, as the role rls_runtime/,
    );
    expect(stdout).toMatch(/alter table shop\.p02_unforced force row level security;/);
    expect(stdout).toMatch(/\d+ findings in \d+ objects\.\n/);
    expect(stdout).toMatch(/\nNext: run the SQL above as the owner, .+\n$/);
    expect(stdout).not.toContain('\u001b');
  });

  test('asked about a superuser, it says that another role may be meant [P-01]', async () => {
    const { exit, stdout } = await rls(['lint', '--url', corrected.superUrl]);
    expect(exit).toBe(1);
    expect(stdout).toMatch(/P-01\/superuser/);
    expect(stdout).toMatch(/If your application logs in as another one, name it: --role app\./);
  });

  test('where there is no table, it does not look like a good result', async () => {
    const empty = await loadSql('select 1');
    const { stdout } = await rls(['lint', '--url', empty.runtimeUrl]);
    await empty.drop();
    expect(stdout).toMatch(/\nThere is no table to look at in rls_\w+: is it the right database\?\n/);
  });

  test('a baseline accepts what was found when it was written, and tells what it no longer needs', async () => {
    using folder = emptyFolder();
    const lint = (url: string, ...more: string[]) =>
      rls(['lint', '--url', url, ...more], { directory: folder.path });
    const written = await lint(pitfalls.runtimeUrl, '--write-baseline');
    expect(written.exit).toBe(0);
    expect(written.stdout).toMatch(
      /rls-baseline\.json accepts \d+ findings: say in it why each is right here\./,
    );
    expect(existsSync(folder.file('rls-baseline.json'))).toBe(true);

    const again = await lint(pitfalls.runtimeUrl, '--baseline', 'rls-baseline.json', '--json');
    expect(again.exit).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ findings: [], stale: [] });
    const other = await lint(corrected.runtimeUrl, '--baseline', 'rls-baseline.json');
    expect(other.exit).toBe(0);
    expect(other.stdout).toMatch(
      /accepts P-02\/\S+ of shop\.p02_unforced, which is not found any more: take it out\./,
    );
    const absent = await lint(corrected.runtimeUrl, '--baseline', 'absent.json');
    expect(absent).toMatchObject({ exit: 2, stdout: '', stderr: 'rls: cannot read absent.json (ENOENT)\n' });
  });

  test('writes SARIF beside what it prints, and says when it cannot', async () => {
    using folder = emptyFolder();
    const lint = (file: string) =>
      rls(['lint', '--url', pitfalls.runtimeUrl, '--json', '--sarif', file], { directory: folder.path });
    const { exit, stdout } = await lint('rls.sarif');
    expect(exit).toBe(1);
    const sarif = JSON.parse(readFileSync(folder.file('rls.sarif'), 'utf8'));
    expect(sarif.version).toBe('2.1.0');
    expect(sarif.runs[0].results).toHaveLength(findingsOf(stdout).length);
    expect(await lint('no/such/folder.sarif')).toMatchObject({
      exit: 2,
      stderr: 'rls: cannot write no/such/folder.sarif (ENOENT)\n',
    });
  });
});

describe('rls prove', () => {
  test('finds nothing on the corrected twin, as the runtime role and as one that may become it', async () => {
    const own = await rls(['prove', '--url', corrected.runtimeUrl, '--json']);
    expect({ exit: own.exit, stderr: own.stderr, findings: findingsOf(own.stdout) }).toEqual({
      exit: 0,
      stderr: '',
      findings: [],
    });
    const role = ['--role', corrected.roles.runtime];
    const { exit, stdout } = await rls(['prove', '--url', corrected.superUrl, ...role]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^Database +rls_\w+, PostgreSQL /);
    expect(stdout).toMatch(/\nAttempts +\d+: \d+ refused, \d+ came to nothing, 0 got through\n/);
    expect(stdout).toMatch(/\nNothing got through\.\n/);
  });

  test('gets through where the pitfalls are, says so, and writes page and report beside it', async () => {
    using folder = emptyFolder();
    const files = ['--html', 'proof.html', '--report', 'proof.json'];
    const { exit, stdout, stderr } = await rls(
      ['prove', '--url', pitfalls.superUrl, '--role', pitfalls.roles.runtime, '--json', ...files],
      { directory: folder.path },
    );
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' });
    const findings = findingsOf(stdout);
    expect(findings.map(({ rule }) => rule)).toContain('P-02/no-rls');
    for (const finding of findings) expect(Object.keys(finding)).toEqual(['rule', 'object', 'risk', 'fix']);
    expect(readFileSync(folder.file('proof.json'), 'utf8')).toBe(stdout);
    expect(readFileSync(folder.file('proof.html'), 'utf8')).toMatch(/^<!doctype html>/i);
  });

  test('leaves out what the baseline of the linter accepts, and says so', async () => {
    using folder = emptyFolder();
    const prove = (...more: string[]) =>
      rls(['prove', '--url', pitfalls.superUrl, '--role', pitfalls.roles.runtime, ...more], {
        directory: folder.path,
      });
    const [first, ...others] = findingsOf((await prove('--json')).stdout);
    const accept = (findings: Finding[]) =>
      writeFileSync(
        folder.file('accepted.json'),
        JSON.stringify({
          accepted: findings.map(({ rule, object }) => ({ rule, object, reason: 'a test' })),
        }),
      );
    accept([first!]);
    const some = await prove('--baseline', 'accepted.json', '--json');
    expect({ exit: some.exit, findings: findingsOf(some.stdout) }).toEqual({ exit: 1, findings: others });
    accept([first!, ...others]);
    const all = await prove('--baseline', 'accepted.json');
    expect(all.exit).toBe(0);
    expect(all.stdout).toMatch(
      /\nNote: \d+ findings accepted by accepted\.json: all that got through is theirs\n/,
    );
    expect((await prove('--baseline', 'absent.json')).exit).toBe(2);
  });

  test('as a role that may not become the runtime role cannot run, and says which grant is wanted', async () => {
    const { exit, stdout, stderr } = await rls([
      ...['prove', '--url', corrected.ownerUrl],
      ...['--role', corrected.roles.runtime],
    ]);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toMatch(/^rls: "rls_owner_\w+" may not become "rls_runtime_\w+".+grant /);
  });
});
