import type pg from 'pg';
import type { Catalogue, Table } from '../catalogue/catalogue.ts';
import type { Finding } from '../findings.ts';
import { lint } from '../lint/lint.ts';
import { nameOf } from '../lint/names.ts';
import type { SchemaOptions } from '../options.ts';
import { type Access, explainAccess } from './access.ts';
import { explainRows, type RowsReport } from './rows.ts';
import { type Expected, explainToken, type TokenReport } from './token.ts';

export interface ExplainOptions extends Expected {
  client: pg.ClientBase;
  catalogue: Catalogue;
  options: SchemaOptions;
  /** `schema.name`, or the name alone where only one schema has it. */
  table: string;
}

export interface Explanation {
  token: TokenReport;
  /** The tenant that the token sets; none when it is not accepted, and all below is left out then. */
  tenant: string | undefined;
  role: string;
  table: string;
  /** As many as PostgreSQL reckons, of all tenants. */
  estimatedRows: number;
  access: Access[];
  rows: RowsReport | undefined;
  /** What the linter says of the table and of the role. */
  findings: Finding[];
}

/** A table that was named and is not there, or is there more than once. */
export class UnknownTableError extends Error {
  override name = 'UnknownTableError';
}

/**
 * Says of an access token whether it is accepted and why not, and of its tenant what it sees of a table: by which
 * policies, how many rows, and at which cost. A token that is not accepted sets no tenant, and no row is asked for.
 * Writes nothing. Throws `UnknownTableError`, the TokenError `keys_unavailable`, a TypeError for wrong options, and what
 * the database says when the connection may not become the catalogue's role.
 */
export async function explain(text: string, given: ExplainOptions): Promise<Explanation> {
  const { client, catalogue, options } = given;
  const table = findTable(catalogue, given.table);
  const { report, token } = await explainToken(text, given);
  const about = {
    token: report,
    role: catalogue.role.name,
    table: nameOf(table),
    estimatedRows: table.estimatedRows,
  };
  if (!token) return { ...about, tenant: undefined, access: [], rows: undefined, findings: [] };
  return {
    ...about,
    tenant: token.tenantId,
    access: explainAccess(catalogue, table),
    rows: await explainRows(client, token, { catalogue, options, table }),
    findings: lint(catalogue, options).filter(({ object }) => isAbout(object, catalogue, table)),
  };
}

/** Whether the token is accepted and its tenant can read the table, bound by policies, with nothing found about it. */
export function isGood({ token, access, rows, findings }: Explanation): boolean {
  const reading = access.find(({ command }) => command === 'select');
  return token.accepted && reading?.rows === 'some' && rows?.seen !== undefined && findings.length === 0;
}

function findTable({ tables }: Catalogue, wanted: string): Table {
  const plain = wanted.replaceAll('"', '');
  const found = tables.filter(({ schema, name }) => plain === `${schema}.${name}` || plain === name);
  if (found.length === 1) return found[0]!;
  const names = (found.length > 0 ? found : tables).map(nameOf).sort();
  const shown =
    names.length > 12 ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more` : names.join(', ');
  throw new UnknownTableError(
    found.length > 0
      ? `there is more than one table ${wanted}: ${shown}`
      : `there is no table ${wanted}; there is ${shown || 'none at all'}`,
  );
}

function isAbout(object: string, { role, indexes }: Catalogue, table: Table): boolean {
  const name = nameOf(table);
  return (
    object === name ||
    object.startsWith(`${name}.`) ||
    object.endsWith(` on ${name}`) ||
    object.endsWith(` of ${name}`) ||
    object.replaceAll('"', '') === `role ${role.name}` ||
    indexes.some(
      (index) =>
        index.table === table.id && object === `index ${nameOf({ schema: table.schema, name: index.name })}`,
    )
  );
}
