import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '#sdk/src/catalogue/read.ts';
import { defaultOptions } from '#sdk/src/options.ts';
import { prove } from '#sdk/src/prove/prove.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test('y', async () => {
  for (const url of [database.superUrl, database.ownerUrl]) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const options = { ...defaultOptions, role: new URL(database.runtimeUrl).username };
  const report = await prove(client, await readCatalogue(client, options), options);
  await client.end();
    const { attempts, ...rest } = report;
    const through = attempts.filter((a) => a.outcome === 'got through');
    (await import('node:fs')).writeFileSync(`/tmp/team/P-own-${url===database.superUrl?'super':'owner'}.json`, JSON.stringify({ ...rest, count: attempts.length, through, attempts }, null, 1));
  }
});
