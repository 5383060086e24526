import type { Table } from '../../catalogue/catalogue.ts';
import { list, nameOf, quoted } from '../../lint/names.ts';
import { keyOf } from '../fill/key.ts';
import { insertInto } from '../fill/row.ts';
import { mentioned } from '../fill/rules.ts';
import type { Refusal } from '../session.ts';
import { ident, literal, relation } from '../sql.ts';
import { anotherTenant } from './actors.ts';
import { given, mutable } from './rows.ts';
import type { Subject, Trial, Verdict } from './trial.ts';

interface Key {
  name: string;
  object: string;
  columns: string[];
  /** Whether `on conflict on constraint` can name it. */
  constraint: boolean;
  exclusion: boolean;
}

/** Takes values of another tenant's row into an own one: a duplicate that is told is a row that is told of. */
export async function tryKeys(trial: Trial): Promise<void> {
  for (const subject of trial.subjects) {
    if (subject.table.kind === 'partition' || subject.pair.borrowed) continue;
    // Where everybody sees all rows a duplicate tells nothing new.
    if (!trial.schema.isGuarded(subject.table.id)) continue;
    for (const key of keysOf(trial, subject.table)) await tryKey(trial, subject, key);
  }
}

function keysOf({ session: { catalogue } }: Trial, table: Table): Key[] {
  const constraints = catalogue.constraints
    .filter((one) => one.table === table.id && /primary|unique|exclusion/.test(one.kind))
    .map(({ name, columns, kind, definition }) => ({
      name,
      object: `constraint ${quoted(name)} on ${nameOf(table)}`,
      columns: columns.length > 0 ? columns : mentioned(table, definition),
      constraint: true,
      exclusion: kind === 'exclusion',
    }));
  const indexes = catalogue.indexes
    .filter((one) => one.table === table.id && one.unique && one.constraint === undefined)
    .map(({ name, columns, definition }) => ({
      name,
      object: `index ${nameOf({ schema: table.schema, name })}`,
      columns: columns.every((column) => column !== '')
        ? columns
        : mentioned(table, definition.slice(definition.indexOf('('))),
      constraint: false,
      exclusion: false,
    }));
  return [...constraints, ...indexes];
}

function keyNamed({ session: { catalogue }, schema }: Trial, name: string | undefined): string | undefined {
  const key = catalogue.constraints.find(
    (one) => one.name === name && /primary|unique|exclusion/.test(one.kind),
  );
  const table = key && schema.table(key.table);
  if (table) return `constraint ${quoted(key.name)} on ${nameOf(table)}`;
  const index = catalogue.indexes.find((one) => one.name === name);
  const of = index && schema.table(index.table);
  return of && `index ${nameOf({ schema: of.schema, name: index.name })}`;
}

async function tryKey(trial: Trial, subject: Subject, key: Key): Promise<void> {
  const { session } = trial;
  const { table, name, a, b, pair } = subject;
  const taken = key.columns.filter(
    (column) => column !== table.tenantColumn && a.values[column] !== b.values[column],
  );
  if (taken.length === 0) return;
  const enter = [...session.become, ...session.as(b.tenant)];
  const breach = {
    rules: ['P-10/key-without-tenant'],
    object: key.object,
    fix: table.tenantColumn
      ? `Put ${quoted(table.tenantColumn)} first in the key: (${list([table.tenantColumn, ...key.columns])}).`
      : 'Put the tenant into the key.',
  };
  const told = (detail: string): Verdict => ({ through: true, detail });
  const duplicate = ({ code, message, constraint }: Refusal): Verdict | undefined => {
    if (code !== '23505' && code !== '23P01') return undefined;
    // A trigger may have written what it found into a table with a key of its own.
    const other = constraint !== key.name ? keyNamed(trial, constraint) : undefined;
    const verdict = told(`the error tells of the row: ${message}`);
    return other ? { ...verdict, breach: { ...breach, object: other } } : verdict;
  };
  const what = `take the other’s value (${key.name})`;

  if (!pair.spare.b) {
    const column = taken.map((one) => `${ident(one)} = ${literal(a.values[one] ?? null)}`).join(', ');
    await trial.try({
      table: name,
      what: `${what}, update`,
      as: anotherTenant,
      statements: [
        ...enter,
        `update ${relation(table)} t set ${column} where ${keyOf(session.catalogue, b, table, 't')}`,
      ],
      judge: () => ({ through: false, detail: 'no duplicate told' }),
      told: duplicate,
      breach,
    });
    return;
  }
  const values = given(table, pair.spare.b);
  for (const column of taken) values.set(column, a.values[column] ?? null);
  const insert = insertInto(table, values);
  await trial.try({
    table: name,
    what: `${what}, insert`,
    as: anotherTenant,
    statements: [...enter, insert],
    judge: () => ({ through: false, detail: 'no duplicate told' }),
    told: duplicate,
    breach,
  });
  // Without an own insert that works, one that adds nothing tells nothing.
  if (!trial.insertable.has(table.id)) return;
  // Without a name any key would do, and this one would be blamed.
  if (!key.constraint && table.tenantColumn && key.columns.includes(table.tenantColumn)) return;
  const arbiter = key.constraint ? `on constraint ${ident(key.name)}` : '';
  await trial.try({
    table: name,
    what: `${what}, on conflict do nothing`,
    as: anotherTenant,
    statements: [...enter, `${insert} on conflict ${arbiter} do nothing`],
    judge: ({ rowCount }) =>
      rowCount === 0
        ? told('no row was added, which tells of the row')
        : { through: false, detail: 'no conflict told' },
    told: duplicate,
    breach,
  });
  const column = mutable(table);
  if (!key.constraint || key.exclusion || !column) return;
  await trial.try({
    table: name,
    what: `${what}, on conflict do update`,
    as: anotherTenant,
    statements: [
      ...enter,
      `${insert} on conflict ${arbiter} do update set ${ident(column)} = excluded.${ident(column)}`,
    ],
    judge: () => ({ through: false, detail: 'no conflict told' }),
    // Only a row that is there makes PostgreSQL ask whether it may be updated.
    told: (refusal) =>
      duplicate(refusal) ??
      (/USING expression/.test(refusal.message)
        ? told(`the error tells of the row: ${refusal.message}`)
        : undefined),
    breach,
  });
}
