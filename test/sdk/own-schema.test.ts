import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '#sdk/src/catalogue/read.ts';
import { applyBaseline, parseBaseline } from '#sdk/src/lint/baseline.ts';
import { lint } from '#sdk/src/lint/lint.ts';
import { defaultOptions } from '#sdk/src/options.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

const baseline = parseBaseline(readFileSync(new URL('../../db/rls-baseline.json', import.meta.url), 'utf8'));

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test('the linter of the downstream package finds nothing here that is not accepted with a reason [A-176, A-177]', async () => {
  const client = new pg.Client({ connectionString: database.runtimeUrl });
  await client.connect();
  const found = lint(await readCatalogue(client, defaultOptions), defaultOptions);
  await client.end();
  expect(applyBaseline(found, baseline)).toEqual({ findings: [], stale: [] });
});
