import { randomInt, randomUUID } from 'node:crypto';
import type { Catalogue, Constraint, Table } from '../../catalogue/catalogue.ts';
import { nameOf } from '../../lint/names.ts';
import type { SchemaOptions } from '../../options.ts';
import type { Session, Tenant } from '../session.ts';
import { ident, literal, relation } from '../sql.ts';
import { keyOf } from './key.ts';
import { fillOrder, freeColumns, type Reference, type Step } from './order.ts';
import { fillPartitions } from './partitions.ts';
import { makeRow, type Row, type Rules, rowOf, selectList } from './row.ts';
import { candidates, none, word } from './values.ts';

export type Side = 'a' | 'b';

/** A row for each of two tenants, and what another of theirs would be. */
export interface Pair {
  table: Table;
  a: Row;
  b: Row;
  /** Values of a row that could be added; what was tried and taken back. */
  spare: Record<Side, Row | undefined>;
  /** Why there is none. */
  spareReason: string;
  /** Whether the rows were there before: nothing is tried on them but reading and changing. */
  borrowed: boolean;
}

export interface Filled {
  tenants: Record<Side, Tenant>;
  pairs: Map<string, Pair>;
  unfilled: Map<string, string>;
  /** Tables in which somebody else's rows are used. */
  notes: string[];
  /** Tables whose keys were checked last. */
  circles: string[];
}

export interface FillOptions {
  /** Whose rows that could be added are wanted as well. */
  spares: Side[];
  /** Without any tenant set: for a connection that has not heard of one. */
  silent: boolean;
}

const sides = ['a', 'b'] as const;

/** Two tenants as the tenant columns of most tables can take them. */
export function makeTenants(
  catalogue: Catalogue,
  options: SchemaOptions,
  rules: Rules,
): Record<Side, Tenant> {
  const columns = catalogue.tables.flatMap((table) =>
    table.columns.filter(({ name }) => name === table.tenantColumn).map((column) => ({ table, column })),
  );
  const types = columns.map(({ column }) => column.typeId);
  const most = types.sort(
    (a, b) => types.filter((one) => one === b).length - types.filter((one) => one === a).length,
  )[0];
  const typical = columns.find(({ column }) => column.typeId === most);
  const make = (): Tenant => ({
    id: typical ? tenantId(typical.column, rules) : randomUUID(),
    subject: randomUUID(),
  });
  const [a, b] = [make(), make()];
  return a.id === b.id ? makeTenants(catalogue, options, rules) : { a, b };
}

function tenantId(column: Table['columns'][number], rules: Rules): string {
  const type = rules.types.get(column.typeId);
  if (/^(bigint|integer)$/.test(column.type)) return String(randomInt(1_000_000_000, 2_000_000_000));
  if (/^(text|character varying|citext)$/.test(column.type)) return randomUUID();
  return (type && candidates(column, rules.types, none)[0]) ?? word(12);
}

/**
 * Makes a row of each table for two tenants, in the order of the foreign keys, within the transaction that is
 * open. A table that refuses is in `unfilled`, with PostgreSQL's reason.
 */
export async function fill(
  session: Session,
  rules: Rules,
  tenants: Record<Side, Tenant>,
  options: FillOptions,
): Promise<Filled> {
  await session.run('savepoint filling');
  const filled = await fillAll(session, rules, tenants, options, new Map());
  const outcome = await session.keep(['set constraints all immediate']);
  if (!outcome.error) return filled;
  // A circle of keys did not close: without it there is nothing to be checked later.
  await session.run('rollback to savepoint filling');
  return fillAll(
    session,
    rules,
    tenants,
    options,
    new Map(filled.circles.map((id) => [id, outcome.error.message])),
  );
}

async function fillAll(
  session: Session,
  rules: Rules,
  tenants: Record<Side, Tenant>,
  { spares, silent }: FillOptions,
  excluded: Map<string, string>,
): Promise<Filled> {
  const { catalogue, options } = session;
  const isShared = (table: Table) => `${table.schema}.${table.name}` in options.shared;
  const tables = new Map(catalogue.tables.map((table) => [table.id, table]));
  const filled: Filled = { tenants, pairs: new Map(), unfilled: new Map(), notes: [], circles: [] };
  const fillable = catalogue.tables.filter(({ kind }) => kind === 'table' || kind === 'partitioned');
  const constraints = withPartitionKeys(catalogue);
  const keys = constraints.filter(({ inherited, references }) => references && !inherited) as Reference[];
  const pins = new Map<string, Record<Side, Record<string, string | null>>>();
  const pinned = (table: string) => {
    const found = pins.get(table) ?? { a: {}, b: {} };
    pins.set(table, found);
    return found;
  };
  // The table of the tenants themselves: its rows are the two tenants.
  for (const key of keys) {
    const from = tables.get(key.table);
    const to = tables.get(key.references.table);
    if (!from?.tenantColumn || !to || isShared(to)) continue;
    const place = key.columns.indexOf(from.tenantColumn);
    const target = place === -1 ? undefined : key.references.columns[place];
    if (key.columns.length === 1 && target && target !== to.tenantColumn) {
      for (const side of sides) pinned(to.id)[side][target] = tenants[side].id;
    }
  }

  const steps = fillOrder(fillable, constraints);
  const needed = new Set(keys.map(({ references }) => references.table));
  for (const step of steps) {
    if (isShared(step.table) && !needed.has(step.table.id)) continue;
    if (isShared(step.table) && (await borrow(step.table, true))) continue;
    if (step.ahead.length > 0) filled.circles.push(step.table.id);
    const reason = excluded.get(step.table.id) ?? (await fillTable(step));
    if (reason === undefined) continue;
    if (!silent && (await borrow(step.table, false))) {
      filled.notes.push(
        `${nameOf(step.table)}: rows that were there are used, since none could be made (${reason})`,
      );
    } else filled.unfilled.set(step.table.id, reason);
  }
  for (const step of steps) for (const key of step.late) await fillLate(step.table, key);
  await fillPartitions(session, rules, filled, silent);
  for (const table of catalogue.tables.filter(({ kind }) => kind === 'foreign')) {
    filled.unfilled.set(
      table.id,
      'a foreign table: its rows are on another server, and nothing is written there',
    );
  }
  return filled;

  async function fillTable({ table, ahead, late }: Step): Promise<string | undefined> {
    const made: Partial<Record<Side, Row>> = {};
    const spare: Pair['spare'] = { a: undefined, b: undefined };
    let spareReason = '';
    for (const side of sides) {
      const row = await make(table, side, true, ahead, late);
      if (typeof row === 'string') return row;
      made[side] = row;
    }
    if (!isShared(table)) {
      for (const side of spares) {
        const row = await make(table, side, false, ahead, late, made[side]);
        if (typeof row === 'string') spareReason = row;
        else spare[side] = row;
      }
    }
    filled.pairs.set(table.id, { table, a: made.a!, b: made.b!, spare, spareReason, borrowed: false });
    return undefined;
  }

  async function make(
    table: Table,
    side: Side,
    keep: boolean,
    ahead: Reference[],
    late: Reference[],
    first?: Row,
  ): Promise<Row | string> {
    const fixed: Record<string, string | null> = {};
    const loose = new Set<string>();
    for (const key of keys.filter((one) => one.table === table.id && !late.includes(one))) {
      const target = key.references.table;
      const free = freeColumns(table, key);
      if (target === table.id && free.length === 0 && !first) {
        // A row that must refer to one of its own table refers to itself.
        key.references.columns.forEach((name, index) => {
          const own = pin(table, side, name);
          fixed[name] ??= own;
          fixed[key.columns[index]!] ??= own;
        });
        continue;
      }
      const row =
        target === table.id
          ? free.length === 0
            ? first
            : undefined
          : (filled.pairs.get(target)?.[side] ?? (await elsewhere(key)));
      for (const name of free) loose.add(name);
      key.columns.forEach((name, index) => {
        const other = key.references.columns[index]!;
        if (row) fixed[name] ??= row.values[other] ?? null;
        else if (ahead.includes(key)) {
          fixed[name] ??= pin(tables.get(target)!, side, other);
        } else if (free.includes(name)) fixed[name] ??= null;
      });
      if (!row && !ahead.includes(key) && free.length === 0) {
        const to = tables.get(target);
        return `it refers to ${to ? nameOf(to) : 'a table that is not looked at'}, where no row could be made`;
      }
    }
    Object.assign(fixed, keep ? pinned(table.id)[side] : {});
    const tenant = tenants[side];
    if (table.tenantColumn) fixed[table.tenantColumn] = tenant.id;
    return makeRow(session, rules, {
      table,
      tenant: silent ? { ...tenant, id: '' } : tenant,
      fixed,
      loose,
      keep,
      before: ahead.length > 0 || late.length > 0 || pins.has(table.id) ? deferral(table) : [],
    }).then((row) => (typeof row === 'string' ? row : { ...row, tenant }));
  }

  function deferral(table: Table): string[] {
    return steps.some(({ table: one, ahead }) =>
      ahead.some((key) => one === table || key.references.table === table.id),
    )
      ? ['set constraints all deferred']
      : [];
  }

  /** A value that the row will have when it is made. */
  function pin(table: Table, side: Side, name: string): string {
    const known = pinned(table.id)[side];
    known[name] ??= valueFor(table, name);
    return known[name];
  }

  function valueFor(table: Table, name: string): string {
    const column = table.columns.find((one) => one.name === name)!;
    return candidates(column, rules.types, none).find((value) => value !== '') ?? '1';
  }

  /** A row of a table that is not looked at: one that is there. */
  async function elsewhere(key: Reference): Promise<{ values: Record<string, string | null> } | undefined> {
    if (tables.has(key.references.table)) return undefined;
    const { columns, table } = key.references;
    const name = (await session.run(`select ${literal(table)}::regclass::text as name`)).rows[0].name;
    const list = columns.map((column, index) => `${ident(column)}::text as c${index}`).join(', ');
    const outcome = await session.peek([`select ${list} from ${name} limit 1`]);
    const row = outcome.results.at(-1)?.rows[0];
    return row && { values: Object.fromEntries(columns.map((column, index) => [column, row[`c${index}`]])) };
  }

  async function borrow(table: Table, shared: boolean): Promise<boolean> {
    if (!shared && !table.tenantColumn) return false;
    const list = selectList(table, 't');
    const column = table.tenantColumn && `t.${ident(table.tenantColumn)}`;
    const from = `from ${relation(table)} t`;
    const query = shared
      ? `select ${list} ${from} limit 1`
      : `(select ${list} ${from} where ${column} is not null limit 1)
        union all
        (select ${list} ${from} where ${column} <> (select ${column} ${from} where ${column} is not null limit 1) limit 1)`;
    const outcome = await session.peek([query]);
    const rows = outcome.results.at(-1)?.rows ?? [];
    if (rows.length < (shared ? 1 : 2)) return false;
    const [a, b] = [rows[0], rows[1] ?? rows[0]].map((row, index) => {
      const found = rowOf(table, tenants[sides[index]!], row);
      if (shared) return found;
      return { ...found, tenant: { ...found.tenant, id: found.values[table.tenantColumn!]! } };
    });
    filled.pairs.set(table.id, {
      table,
      a: a!,
      b: b!,
      spare: { a: undefined, b: undefined },
      spareReason: 'rows that were there are used',
      borrowed: true,
    });
    return true;
  }

  async function fillLate(table: Table, key: Reference): Promise<void> {
    const pair = filled.pairs.get(table.id);
    const target = filled.pairs.get(key.references.table);
    if (!pair || !target || pair.borrowed) return;
    for (const side of sides) {
      const free = freeColumns(table, key);
      const set = key.columns.flatMap((name, index) =>
        free.includes(name)
          ? [[name, target[side].values[key.references.columns[index]!] ?? null] as const]
          : [],
      );
      const outcome = await session.keep([
        ...(silent ? [] : session.as(tenants[side])),
        `update ${relation(table)} t set ${set.map(([name, value]) => `${ident(name)} = ${literal(value)}`).join(', ')} where ${keyOf(session.catalogue, pair[side], table, 't')}`,
      ]);
      if (!outcome.error) for (const [name, value] of set) pair[side].values[name] = value;
    }
  }
}

/** A key that only a partition has binds the rows that its parent is given all the same. */
function withPartitionKeys({ tables, constraints }: Catalogue): Constraint[] {
  const byId = new Map(tables.map((table) => [table.id, table]));
  const root = (id: string): string => {
    const table = byId.get(id);
    const parent = table?.parents.find((one) => byId.get(one)?.kind === 'partitioned');
    return parent ? root(parent) : id;
  };
  return constraints.map((one) => (one.kind === 'foreign' ? { ...one, table: root(one.table) } : one));
}
