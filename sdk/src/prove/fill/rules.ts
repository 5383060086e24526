import type { Catalogue, Table } from '../../catalogue/catalogue.ts';
import type { Session } from '../session.ts';
import { literals } from '../sql.ts';
import type { Rules } from './row.ts';
import { readTypes } from './types.ts';

/** Bounds of partitions, and the columns that decide on them. */
const partitions = (ids: string[]) => `
  select p.inhparent::text as parent, c.oid::text as id, pg_get_expr(c.relpartbound, c.oid) as bound,
    coalesce(pg_get_partition_constraintdef(c.oid), '') as "constraint",
    array(
      select a.attname::text
      from pg_partitioned_table t
      cross join unnest(t.partattrs::int2[]) k (number)
      join pg_attribute a on a.attrelid = t.partrelid and a.attnum = k.number
      where t.partrelid = p.inhparent
    ) as columns
  from pg_inherits p
  join pg_class c on c.oid = p.inhrelid and c.relispartition
  where c.oid in (${literals(ids)})`;

interface Partition {
  parent: string;
  id: string;
  bound: string;
  constraint: string;
  columns: string[];
}

/** Reads what the catalogue does not have and rows must follow: types, and bounds of partitions. */
export async function readRules(session: Session, catalogue: Catalogue): Promise<Rules> {
  const { tables, constraints, indexes, policies } = catalogue;
  const types = await readTypes(
    session,
    tables.flatMap(({ columns }) => columns.map(({ typeId }) => typeId)),
  );
  const ids = tables.filter(({ kind }) => kind === 'partition' || kind === 'foreign').map(({ id }) => id);
  const parts: Partition[] = ids.length > 0 ? (await session.run(partitions(ids))).rows : [];
  const parents = new Map(parts.map(({ id, parent }) => [id, parent]));
  const roots = (id: string): string[] => [id, ...(parents.has(id) ? roots(parents.get(id)!) : [])];

  return {
    types,
    columnsOf(table, name) {
      const constraint = constraints.find((one) => one.name === name && roots(one.table).includes(table.id));
      if (constraint && constraint.columns.length > 0) return constraint.columns;
      const index = indexes.find((one) => one.name === name && roots(one.table).includes(table.id));
      const text = index?.definition ?? constraint?.definition;
      if (text) return mentioned(table, text.slice(text.indexOf('(')));
      if (name === undefined) {
        return parts.filter(({ parent }) => parent === table.id).flatMap(({ columns }) => columns);
      }
      // The check of a domain has a name of its own.
      return table.columns
        .filter(({ typeId }) => types.get(typeId)?.kind === 'domain')
        .map((column) => column.name);
    },
    conditions(table, column) {
      const checks = constraints.filter(
        ({ kind, table: of, columns }) =>
          kind === 'check' && of === table.id && columns.includes(column.name),
      );
      const bounds = parts.filter(
        ({ parent, columns }) => parent === table.id && columns.includes(column.name),
      );
      const own = parts.filter(({ id, columns }) => id === table.id && columns.includes(column.name));
      // What a policy compares with decides whom it shows the row.
      const shown = policies
        .filter((policy) => policy.table === table.id)
        .flatMap(({ using }) => (using && mentions(using, column.name) ? [using] : []));
      return [
        ...own.map(({ constraint }) => constraint),
        ...checks.map(({ definition }) => definition),
        ...bounds.map(({ bound }) => bound.replace(/ TO .*/, '').replace(/^FOR VALUES FROM/, '>=')),
        ...shown,
      ];
    },
  };
}

/** Columns whose names stand in the text. */
export function mentioned(table: Table, text: string): string[] {
  return table.columns.map(({ name }) => name).filter((name) => mentions(text, name));
}

function mentions(text: string, name: string): boolean {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return (
    new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`).test(text) ||
    text.includes(`"${name.replaceAll('"', '""')}"`)
  );
}
