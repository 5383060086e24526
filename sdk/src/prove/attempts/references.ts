import type { Constraint, Table } from '../../catalogue/catalogue.ts';
import { nameOf, quoted } from '../../lint/names.ts';
import type { Pair } from '../fill/fill.ts';
import { keyOf } from '../fill/key.ts';
import { insertInto, type Row } from '../fill/row.ts';
import { candidates, none } from '../fill/values.ts';
import type { Breach } from '../findings.ts';
import { ident, literal, relation } from '../sql.ts';
import { anotherTenant } from './actors.ts';
import { given } from './rows.ts';
import type { Trial } from './trial.ts';

interface Reference {
  constraint: Constraint & { references: NonNullable<Constraint['references']> };
  from: Pair;
  to: Pair;
  /** Columns that can say another tenant's row, with the column that they refer to. */
  open: [string, string][];
}

/** Refers to rows of another tenant, and deletes own ones that another tenant's rows refer to. */
export async function tryReferences(trial: Trial): Promise<void> {
  for (const reference of references(trial)) {
    await tryReference(trial, reference);
    await tryCascade(trial, reference);
  }
}

function references({ session: { catalogue }, filled, schema }: Trial): Reference[] {
  return catalogue.constraints.flatMap((constraint) => {
    const from = filled.pairs.get(constraint.table);
    const to = constraint.references && filled.pairs.get(constraint.references.table);
    if (!from || !to || constraint.inherited || from.borrowed || to.borrowed) return [];
    if (!schema.isGuarded(to.table.id) || !schema.isGuarded(from.table.id)) return [];
    const open = constraint.columns
      .map((name, index) => [name, constraint.references!.columns[index]!] as [string, string])
      .filter(([name, other]) => name !== from.table.tenantColumn && other !== to.table.tenantColumn);
    return open.length > 0 ? [{ constraint: constraint as Reference['constraint'], from, to, open }] : [];
  });
}

function breachOf({ constraint, from: { table } }: Reference, rules: string[]): Breach {
  return {
    rules,
    object: `constraint ${quoted(constraint.name)} on ${nameOf(table)}`,
    fix: 'Put the tenant into the key on both sides, so that it reaches the tenant’s own rows only.',
  };
}

const assignments = (pairs: [string, string | null][]) =>
  pairs.map(([name, value]) => `${ident(name)} = ${literal(value)}`).join(', ');

async function tryReference(trial: Trial, reference: Reference): Promise<void> {
  const { session, schema } = trial;
  const { constraint, from, to, open } = reference;
  const { table, b, spare } = from;
  const values = open.map(([name, other]) => [name, to.a.values[other] ?? null] as [string, string | null]);
  const byInsert = spare.b && schema.may(table.id, 'insert');
  const inserted = byInsert ? new Map([...given(table, spare.b!), ...values]) : new Map();
  await trial.try({
    table: nameOf(table),
    what: `refer to the other’s row (${constraint.name})`,
    as: anotherTenant,
    statements: [
      ...session.become,
      ...session.as(b.tenant),
      byInsert
        ? insertInto(table, inserted)
        : `update ${relation(table)} t set ${assignments(values)} where ${keyOf(session.catalogue, b, table, 't')}`,
      'set constraints all immediate',
    ],
    answer: 1,
    judge: ({ rowCount }) =>
      rowCount
        ? { through: true, detail: `a row refers to the other’s row of ${nameOf(to.table)}` }
        : { through: false, detail: 'no row' },
    breach: breachOf(reference, ['P-08/foreign-key-without-tenant', 'P-09/cascade-without-tenant']),
  });
}

/** A row of A refers to one of B, as it may when the key leaves the tenant out; then B deletes or changes its own. */
async function tryCascade(trial: Trial, reference: Reference): Promise<void> {
  const { session } = trial;
  const { constraint, from, to, open } = reference;
  const { onDelete, onUpdate } = constraint.references;
  const acts = (action: string) => !/^(no action|restrict)$/.test(action);
  if (!acts(onDelete) && !acts(onUpdate)) return;
  const parent = to.spare.b ?? to.b;
  const pointed = open.map(
    ([name, other]) => [name, parent.values[other] ?? null] as [string, string | null],
  );
  const catalogue = session.catalogue;
  const still = pointed.map(([name, value]) => `t.${ident(name)} = ${literal(value)}`).join(' and ');
  const statement = acts(onDelete)
    ? `delete from ${relation(to.table)} t where ${keyOf(catalogue, parent, to.table, 't')}`
    : `update ${relation(to.table)} t set ${assignments(
        open.map(([, other]) => [other, renewed(trial, to.table, parent, other)]),
      )} where ${keyOf(catalogue, parent, to.table, 't')}`;
  await trial.try({
    table: nameOf(from.table),
    what: `${acts(onDelete) ? 'delete' : 'change'} an own row that the other’s refers to (${constraint.name})`,
    as: anotherTenant,
    statements: [
      ...(to.spare.b ? [...session.as(to.b.tenant), insertInto(to.table, given(to.table, parent))] : []),
      ...session.as(from.a.tenant),
      `update ${relation(from.table)} t set ${assignments(pointed)} where ${keyOf(catalogue, from.a, from.table, 't')}`,
      'set constraints all immediate',
      ...session.become,
      ...session.as(to.b.tenant),
      statement,
      ...session.leave,
      ...session.as(from.a.tenant),
      `select count(*)::int as rows from ${relation(from.table)} t where ${keyOf(catalogue, withValues(from.a, pointed), from.table, 't')} and ${still}`,
    ],
    judge: ({ rows: [row] }, { results }) => {
      const done = results.findLast(({ command }) => /DELETE|UPDATE/.test(command))?.rowCount;
      const gone = row.rows === 0 && done !== 0;
      return {
        through: gone,
        detail: gone ? 'the other’s row went or changed along' : 'the other’s row stayed',
      };
    },
    breach: breachOf(reference, ['P-09/cascade-without-tenant']),
  });
}

const withValues = (row: Row, values: [string, string | null][]): Row => ({
  ...row,
  values: { ...row.values, ...Object.fromEntries(values) },
});

function renewed({ rules }: Trial, table: Table, row: Row, name: string): string | null {
  const column = table.columns.find((one) => one.name === name)!;
  return candidates(column, rules.types, none).find((value) => value !== row.values[name]) ?? null;
}
