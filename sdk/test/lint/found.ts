import pg from 'pg';
import { readCatalogue } from '../../src/catalogue/read.ts';
import type { Finding } from '../../src/findings.ts';
import { lint } from '../../src/lint/lint.ts';
import { defaultOptions, type SchemaOptions } from '../../src/options.ts';
import { loadSql } from '../schemas/load.ts';

/** What the linter finds in a schema of its own that has these tables, as `rule object`. */
export async function found(sql: string, options: Partial<SchemaOptions> = {}): Promise<string[]> {
  return (await findings(sql, options)).map(({ rule, object }) => `${rule} ${object}`);
}

/**
 * The same with all that is said; no backup role is no matter here. Without `withKit` the SQL kit is left out; with
 * `mend` the fixes that are SQL are run first, and what is found after them is given.
 */
export async function findings(
  sql: string,
  options: Partial<SchemaOptions> = {},
  { withKit = true, mend = false, granted = true } = {},
): Promise<Finding[]> {
  const loaded = await loadSql(
    `
    create schema s authorization :owner;
    create schema auth authorization :owner;
    grant usage on schema s, auth to :runtime;
    set role :owner;
    ${sql};
    ${granted ? 'grant select, insert, update, delete on all tables in schema s to :runtime' : ''};
  `,
    { withKit },
  );
  const client = new pg.Client({ connectionString: loaded.superUrl });
  await client.connect();
  const all = { ...defaultOptions, schemas: ['s'], role: loaded.roles.runtime, ...options };
  const look = async () =>
    lint(await readCatalogue(client, all), all).filter(({ rule }) => rule !== 'P-04/no-backup-role');
  try {
    if (mend) {
      for (const { fix } of (await look()).filter(isSql)) await client.query(fix);
    }
    return await look();
  } finally {
    await client.end();
    await loaded.drop();
  }
}

/** Whether the fix can be run, and does not say what to decide. */
export const isSql = ({ fix }: Finding) => /^(alter|create|drop|grant|revoke|select) /.test(fix);
