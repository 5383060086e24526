import type { Catalogue, Table } from '../catalogue/catalogue.ts';
import { nameOf } from '../lint/names.ts';
import type { Schema } from '../lint/schema.ts';
import type { Subject } from './attempts/trial.ts';
import type { Filled, Pair } from './fill/fill.ts';

/** Every name by which the rows are reached: of their table, of the partition they are in, and of the parents. */
export function subjectsOf(schema: Schema, filled: Filled): Subject[] {
  const { catalogue } = schema;
  return catalogue.tables.flatMap((table) => {
    if (schema.isShared(table)) return [];
    const own = filled.pairs.get(table.id);
    if (own) return [subject(table, own), ...children(catalogue, filled, table)];
    const inside = partsOf(catalogue, table.id);
    const pair = [...filled.pairs.values()].find(({ a, b }) => inside.has(a.place) && inside.has(b.place));
    if (pair) return [subject(table, pair)];
    // A row of each of two tenants may be in partitions of their own.
    const half = [...filled.pairs.values()].find(({ a }) => inside.has(a.place));
    return half ? [subject(table, half)] : [];
  });
}

function subject(table: Table, pair: Pair): Subject {
  return { name: nameOf(table), table, a: pair.a, b: pair.b, pair };
}

/** Rows of tables that inherit from this one are seen by its name, and by its policies alone. */
function children(catalogue: Catalogue, filled: Filled, table: Table): Subject[] {
  if (table.kind !== 'table') return [];
  return catalogue.tables
    .filter(({ kind, parents }) => kind === 'table' && parents.includes(table.id))
    .flatMap((child) => {
      const pair = filled.pairs.get(child.id);
      if (!pair) return [];
      const name = `${nameOf(table)} (rows of ${nameOf(child)})`;
      return [{ ...subject(table, { ...pair, borrowed: true }), name }];
    });
}

/** The table and its partitions, and theirs. */
function partsOf(catalogue: Catalogue, id: string): Set<string> {
  const below = catalogue.tables.filter(({ parents }) => parents.includes(id));
  return new Set([id, ...below.flatMap((one) => [...partsOf(catalogue, one.id)])]);
}

/** A partition without rows that is in all things like one that has some. */
export function likeOf(schema: Schema, table: Table, subjects: Subject[]): Table | undefined {
  const { catalogue } = schema;
  const form = (one: Table) =>
    JSON.stringify([
      one.kind,
      one.parents,
      one.owner,
      one.rls,
      one.forced,
      schema
        .policiesOf(one)
        .map(({ name, permissive, command, roles, using, check }) => [
          name,
          permissive,
          command,
          roles,
          using,
          check,
        ]),
      catalogue.grants.filter(({ id }) => id === one.id).map(({ privilege }) => privilege),
    ]);
  return subjects.find(({ table: other }) => other !== table && form(other) === form(table))?.table;
}
