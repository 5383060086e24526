import { describe, expect, test } from '@jest/globals';
import { makeDatabase } from '#src/database/pool.ts';
import { checkProtection } from '#src/database/protection.ts';
import { findVersionProblem } from '#src/database/server-version.ts';

describe('the release of PostgreSQL [P-18, P-19]', () => {
  test.each([150_014, 150_018, 160_010, 170_006, 180_000, 190_000])('%d is sound', (version) => {
    expect(findVersionProblem(version)).toBeUndefined();
  });

  test.each([
    [
      150_013,
      'PostgreSQL 15.13 lets a tenant learn of the rows of others (CVE-2025-8713): use 15.14 or newer',
    ],
    [
      160_009,
      'PostgreSQL 16.9 lets a tenant learn of the rows of others (CVE-2025-8713): use 16.10 or newer',
    ],
    [170_000, 'PostgreSQL 17.0 lets a tenant learn of the rows of others (CVE-2025-8713): use 17.6 or newer'],
    [140_022, 'PostgreSQL 14 is too old: use 15 or newer'],
    [90_624, 'PostgreSQL 9 is too old: use 15 or newer'],
  ])('%d is refused', (version, problem) => {
    expect(findVersionProblem(version)).toBe(problem);
  });

  test('is part of what the server checks before it starts', async () => {
    const db = makeDatabase({ url: 'postgres://nobody@localhost/none' });
    const answers = [{ rows: [{ version: 150_000 }] }, { rows: [] }, { rows: [] }, { rows: [] }];
    const query = async () => answers.shift();
    const problems = await checkProtection({ ...db, pool: { query } as never });
    await db.close();
    expect(problems).toEqual([expect.stringContaining('PostgreSQL 15.0')]);
  });
});
