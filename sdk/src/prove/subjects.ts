import type { Catalogue, Table } from '../catalogue/catalogue.ts';
import { nameOf } from '../lint/names.ts';
import type { Schema } from '../lint/schema.ts';
import type { Subject } from './attempts/trial.ts';
import type { Filled, Pair } from './fill/fill.ts';
import type { Row } from './fill/row.ts';

/** Every name by which the rows are reached: of their table, of the partition they are in, and of the parents. */
export function subjectsOf(schema: Schema, filled: Filled): Subject[] {
  const { catalogue } = schema;
  return catalogue.tables.flatMap((table) => {
    if (schema.isShared(table)) return [];
    const own = filled.pairs.get(table.id);
    if (own) return [subject(table, own), ...children(catalogue, filled, table)];
    const inside = partsOf(catalogue, table.id);
    const pair = [...filled.pairs.values()].find(({ a, b }) => inside.has(a.place) && inside.has(b.place));
    const fits = (row: Row | undefined) => (row && inside.has(row.place) ? row : undefined);
    const within = (one: Pair): Pair => ({
      ...one,
      spare: { a: fits(one.spare.a), b: fits(one.spare.b) },
      spareReason: 'it belongs into another partition',
    });
    if (pair) return [subject(table, within(pair))];
    // A row of each of two tenants may be in partitions of their own.
    const half = [...filled.pairs.values()].find(({ a }) => inside.has(a.place));
    return half ? [{ ...subject(table, within(half)), there: [half.a] }] : [];
  });
}

function subject(table: Table, pair: Pair): Subject {
  return { name: nameOf(table), table, a: pair.a, b: pair.b, there: [pair.a, pair.b], pair };
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
