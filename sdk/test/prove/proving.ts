import pg from 'pg';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { defaultOptions, type SchemaOptions } from '../../src/options.ts';
import { prove } from '../../src/prove/prove.ts';
import type { Report } from '../../src/prove/report.ts';
import { type LoadedSchema, loadSql } from '../schemas/load.ts';

/** Proves a database over a connection of its own. */
export async function proveAt(url: string, options: Partial<SchemaOptions>): Promise<Report> {
  return withConnection(url, async (client) => {
    const all = { ...defaultOptions, ...options };
    return prove(client, await readCatalogue(client, all), all);
  });
}

export async function withConnection<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes a schema, proves it as a superuser for the runtime role, and drops it. */
export async function proveSql(sql: string, options: Partial<SchemaOptions> = {}): Promise<Report> {
  const loaded = await loadSql(sql);
  try {
    return await proveAt(loaded.superUrl, { role: loaded.roles.runtime, ...options });
  } finally {
    await loaded.drop();
  }
}

/** Rules and objects of a report, without what was done. */
export const found = ({ findings }: Report): string[] =>
  findings.map(({ rule, object }) => `${rule} ${object}`);

/** What must be the same before and after: the rows of every table, and the tables themselves. */
export async function checksum({ superUrl }: LoadedSchema): Promise<string> {
  return withConnection(superUrl, async (client) => {
    const { rows } = await client.query(
      `select oid::regclass::text as name from pg_class
      where relkind in ('r', 'm') and relnamespace = 'shop'::regnamespace order by 1`,
    );
    const sums: string[] = [];
    for (const { name } of rows) {
      const { rows: all } = await client.query(
        `select count(*), md5(string_agg(t::text, '|' order by t::text)) from ${name} t`,
      );
      sums.push(`${name} ${JSON.stringify(all[0])}`);
    }
    const { rows: kinds } = await client.query(
      `select (select count(*)::int from pg_class) as relations, (select count(*)::int from pg_proc) as routines,
        (select count(*)::int from pg_trigger) as triggers,
        (select string_agg(relname || relrowsecurity || relforcerowsecurity, ',' order by oid) from pg_class
          where relnamespace = 'shop'::regnamespace) as flags`,
    );
    return [...sums, JSON.stringify(kinds[0])].join('\n');
  });
}
