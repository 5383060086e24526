import type pg from 'pg';
import type { Catalogue, Table } from '../catalogue/catalogue.ts';
import { nameOf } from '../lint/names.ts';
import type { SchemaOptions } from '../options.ts';
import { settingsOf } from '../run/settings.ts';
import type { VerifiedToken } from '../verify/verified-token.ts';
import { type PlanReport, readPlan } from './plan.ts';

/** What the tenant of a token sees of a table. */
export interface RowsReport {
  /** Undefined when counting was refused or took too long. */
  seen: number | undefined;
  /** Why there is no count. */
  refusal: string | undefined;
  plan: PlanReport | undefined;
}

/** Seconds for the count. */
const patience = 10;

/**
 * Counts the rows that a token's tenant sees as the catalogue's role, and asks for the plan of reading them, in a
 * read-only transaction that is rolled back. Throws what the database says when the connection may not become the role.
 */
export async function explainRows(
  client: pg.ClientBase,
  token: VerifiedToken,
  { catalogue, options, table }: { catalogue: Catalogue; options: SchemaOptions; table: Table },
): Promise<RowsReport> {
  await client.query('begin isolation level repeatable read read only');
  try {
    await client.query(`set local statement_timeout = '${patience}s'`);
    const { rows } = await client.query('select current_user::text as name');
    const role = rows[0].name === catalogue.role.name ? undefined : catalogue.role.name;
    const others = options.settings.map((name): [string, string] => [name, token.tenantId]);
    // The role comes last: the settings before it are those that withTenant makes as the role of the connection.
    for (const [name, value] of [...others, ...settingsOf(token, role)]) {
      await client.query('select set_config($1, $2, true)', [name, value]);
    }
    return await read(client, table);
  } finally {
    await client.query('rollback').catch(() => {});
  }
}

async function read(client: pg.ClientBase, table: Table): Promise<RowsReport> {
  const name = nameOf(table);
  try {
    const plan = await readPlan(client, name);
    const { rows } = await client.query(`select count(*)::float8 as seen from ${name}`);
    return { seen: rows[0].seen, refusal: undefined, plan };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) throw error;
    const refusal =
      code === '57014' ? `counting took more than ${patience} seconds` : `PostgreSQL refuses: ${message}`;
    return { seen: undefined, refusal, plan: undefined };
  }
}
