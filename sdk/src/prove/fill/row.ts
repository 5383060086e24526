import type { Column, Table } from '../../catalogue/catalogue.ts';
import type { Outcome, Session, Tenant } from '../session.ts';
import { ident, literal, relation } from '../sql.ts';
import { makePlan } from './plan.ts';
import type { TypeInfo } from './types.ts';

/** A row of a tenant, as it is in the database. */
export interface Row {
  tenant: Tenant;
  /** All columns as texts. */
  values: Record<string, string | null>;
  /** The object id of the table that it is in: a partition's. */
  place: string;
}

/** Definitions of checks, unique indexes and the like by name, and what they are about. */
export interface Rules {
  types: Map<string, TypeInfo>;
  /** Columns of the constraint or index that an error names. */
  columnsOf(table: Table, constraint: string | undefined): string[];
  /** Conditions that speak of the column. */
  conditions(table: Table, column: Column): string[];
}

export interface Wanted {
  table: Table;
  tenant: Tenant;
  /** Values that are settled: the tenant, and columns of foreign keys. */
  fixed: Record<string, string | null>;
  /** Columns that may be given up when a foreign key fails. */
  loose: Set<string>;
  /** Whether the row is to stay. */
  keep: boolean;
  /** Statements before the insert, and after it. */
  before: string[];
  after?: string[];
  /** Where to put it; the table itself mostly. */
  into?: Table;
}

const tries = 150;

/** Makes a row, or says why not in PostgreSQL's words. Reads each refusal and changes the columns that it is about. */
export async function makeRow(session: Session, rules: Rules, wanted: Wanted): Promise<Row | string> {
  const full = await solve(session, rules, wanted, false);
  if (typeof full !== 'string') return full;
  const lean = await solve(session, rules, wanted, true);
  return typeof lean === 'string' ? full : lean;
}

async function solve(session: Session, rules: Rules, wanted: Wanted, lean: boolean): Promise<Row | string> {
  const plan = makePlan(rules, wanted, lean);
  let reason = '';
  for (let count = 0; count < tries; count += 1) {
    const outcome = await insert(session, wanted, plan.values());
    if (!outcome.error) {
      const row = outcome.results.at(-1 - (wanted.after ?? []).length)?.rows[0] as
        | Record<string, string | null>
        | undefined;
      if (!row) return 'a trigger or a rule took the row away';
      return rowOf(wanted.table, wanted.tenant, row);
    }
    // The first refusal says what is the matter; later ones are of what was tried then.
    reason ||= outcome.error.message;
    if (!plan.change(outcome.error)) break;
  }
  return reason;
}

/** The columns of a row as texts; `place` says where it is. */
export function selectList(table: Table, alias = ''): string {
  const prefix = alias && `${alias}.`;
  return [
    `${prefix}tableoid::text`,
    ...table.columns.map(({ name }, index) => `${prefix}${ident(name)}::text as c${index}`),
  ].join(', ');
}

export function rowOf(table: Table, tenant: Tenant, row: Record<string, string | null>): Row {
  return {
    tenant,
    place: row['tableoid']!,
    values: Object.fromEntries(table.columns.map(({ name }, index) => [name, row[`c${index}`] ?? null])),
  };
}

async function insert(
  session: Session,
  { table, into = table, tenant, keep, before, after = [] }: Wanted,
  values: Map<string, string | null>,
): Promise<Outcome> {
  const statement = `${insertInto(into, values)} returning ${selectList(table)}`;
  const statements = [...(tenant.id === '' ? [] : session.as(tenant)), ...before, statement, ...after];
  return keep ? session.keep(statements) : session.peek(statements);
}

/** An insert of the values; numbers that PostgreSQL would rather give itself among them. */
export function insertInto(
  table: { schema: string; name: string },
  values: Map<string, string | null>,
): string {
  const columns = [...values.keys()];
  if (columns.length === 0) return `insert into ${relation(table)} default values`;
  return `insert into ${relation(table)} (${columns.map(ident).join(', ')}) overriding system value values (${columns
    .map((name) => literal(values.get(name)!))
    .join(', ')})`;
}
