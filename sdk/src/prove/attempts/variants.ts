import type { Column } from '../../catalogue/catalogue.ts';
import { hintsOf } from '../fill/checks.ts';
import { keyOf } from '../fill/key.ts';
import { rowBreach } from '../findings.ts';
import { ident, literal, relation } from '../sql.ts';
import { anotherTenant } from './actors.ts';
import { rows, type Subject, type Trial } from './trial.ts';

const most = 12;

/**
 * Reads the other's row with each value of its columns that have few: a policy may show what is published, and a
 * row without a tenant.
 */
export async function tryVariants(trial: Trial): Promise<void> {
  for (const subject of trial.subjects) {
    const { table, pair } = subject;
    if (!table.rls || table.kind === 'partition' || pair.borrowed || !trial.schema.may(table.id, 'select'))
      continue;
    for (const column of table.columns) {
      for (const value of valuesOf(trial, subject, column)) await tryVariant(trial, subject, column, value);
    }
  }
}

function valuesOf(
  { rules, session, schema }: Trial,
  { table, a }: Subject,
  column: Column,
): (string | null)[] {
  const kept = session.catalogue.constraints.some(
    ({ table: of, kind, columns }) =>
      of === table.id && /primary|foreign/.test(kind) && columns.includes(column.name),
  );
  if (column.name === table.tenantColumn) return column.notNull || kept ? [] : [null];
  if (kept || column.generated) return [];
  const type = rules.types.get(column.typeId);
  const said = hintsOf(rules.conditions(table, column)).values;
  const asked = schema.policiesOf(table).some(({ using }) => using?.includes(column.name));
  const values = [
    ...(type?.name === 'bool' ? ['true', 'false'] : []),
    ...(type?.kind === 'enum' ? type.labels : []),
    ...(type?.kind !== 'enum' && type?.name !== 'bool' ? said : []),
    // What may be null can be asked for.
    ...(asked && !column.notNull ? [null] : []),
  ];
  return [...new Set(values)].filter((value) => value !== a.values[column.name]).slice(0, most);
}

async function tryVariant(
  trial: Trial,
  subject: Subject,
  column: Column,
  value: string | null,
): Promise<void> {
  const { session, schema } = trial;
  const { table, name, a, b } = subject;
  const changed = { ...a, values: { ...a.values, [column.name]: value } };
  const set = [
    ...session.as(a.tenant),
    `update ${relation(table)} t set ${ident(column.name)} = ${literal(value)} where ${keyOf(session.catalogue, a, table, 't')}`,
  ];
  const read = `select count(*)::int as rows from ${relation(table)} t where ${keyOf(session.catalogue, changed, table, 't')}`;
  // A value that the table does not take is no attempt.
  const outcome = await session.attempt([...set, ...session.become, ...session.as(b.tenant), read]);
  if (outcome.error) return;
  const update = outcome.results.find(({ command }) => command === 'UPDATE');
  if (!update?.rowCount) return;
  const count: number = outcome.results.at(-1)!.rows[0].rows;
  const shown = value === null ? 'null' : value;
  trial.record(
    {
      table: name,
      what: `read (${column.name} = ${shown})`,
      as: anotherTenant,
      outcome: count > 0 ? 'got through' : 'nothing',
      detail: rows(count),
    },
    column.name === table.tenantColumn
      ? { ...rowBreach(schema, table, 'any'), rules: ['P-22/nullable-tenant'] }
      : rowBreach(schema, table, 'any'),
  );
}
