import { expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { defaultOptions } from '../../src/options.ts';
import { loadSchema } from './load.ts';

test('the pitfalls and their corrected twin have the same tables, views and functions', async () => {
  const names = async (name: 'pitfalls' | 'corrected') => {
    const loaded = await loadSchema(name);
    const client = new pg.Client({ connectionString: loaded.runtimeUrl });
    await client.connect();
    const { tables, views, functions } = await readCatalogue(client, {
      ...defaultOptions,
      schemas: ['shop'],
    });
    await client.end();
    await loaded.drop();
    return [...tables, ...views, ...functions].map(({ name }) => name).sort();
  };
  expect(await names('pitfalls')).toEqual(await names('corrected'));
});
