import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { defaultOptions } from '../../src/options.ts';
import { prove } from '../../src/prove/prove.ts';
import type { Report } from '../../src/prove/report.ts';
import { type LoadedSchema, loadSchema } from '../schemas/load.ts';

test('x', async () => {
  for (const name of ['corrected', 'pitfalls'] as const) {
    const loaded = await loadSchema(name);
    const client = new pg.Client({ connectionString: loaded.superUrl });
    await client.connect();
    const options = { ...defaultOptions, role: loaded.roles.runtime };
    const report = await prove(client, await readCatalogue(client, options), options);
    await client.end();
    await loaded.drop();
    const { attempts, ...rest } = report;
    const through = attempts.filter((a) => a.outcome === 'got through');
    (await import('node:fs')).writeFileSync(
      `/tmp/team/P-${name}.json`,
      JSON.stringify({ ...rest, count: attempts.length, through, attempts }, null, 1),
    );
  }
});
