import type { Table } from '../../catalogue/catalogue.ts';
import { keyOf } from '../fill/key.ts';
import { insertInto, type Row } from '../fill/row.ts';
import { rowBreach } from '../findings.ts';
import { ident, literal, relation } from '../sql.ts';
import { actors, freshConnection } from './actors.ts';
import { reached, rows, type Subject, type Trial, type Verdict } from './trial.ts';

export const readings = [
  'read (select)',
  'read (count)',
  'read (exists)',
  'read (aggregate)',
  'read (join)',
  'read (lateral)',
];

/** Everything that reads, in one statement. */
export function reading(table: Table, key: (alias: string) => string, column: string): string {
  const from = relation(table);
  return `select
    (select count(x.*) from (select * from ${from} t where ${key('t')}) x) as c0,
    (select count(*) from ${from} t where ${key('t')}) as c1,
    exists (select from ${from} t where ${key('t')})::int as c2,
    (select count(m) from (select max(t.${ident(column)}::text) as m from ${from} t where ${key('t')} having count(*) > 0) x) as c3,
    (select count(*) from ${from} t join ${from} u on u.ctid = t.ctid and u.tableoid = t.tableoid where ${key('t')}) as c4,
    (select count(*) from (select 1 as one) o cross join lateral (select * from ${from} t where ${key('t')}) l) as c5`;
}

export function readVerdicts(row: Record<string, unknown>): Verdict[] {
  return readings.map((_, index) => {
    const count = Number(row[`c${index}`]);
    return { through: count > 0, detail: rows(count) };
  });
}

/** Reads, writes, moves and locks rows of another tenant by each name that they have. */
export async function tryRows(trial: Trial): Promise<void> {
  for (const subject of trial.subjects) {
    for (const actor of actors(trial.session, subject)) {
      const { as, enter, tenant } = actor;
      await attemptsOn(trial, subject, as, enter, tenant);
    }
  }
}

/** What one actor tries on one table. Without a tenant there is no own row to move. */
export async function attemptsOn(
  trial: Trial,
  subject: Subject,
  as: string,
  enter: string[],
  tenant: boolean,
): Promise<void> {
  const { name, table, a, b, pair } = subject;
  const { session, schema } = trial;
  const { catalogue } = session;
  const may = (...rights: string[]) => schema.may(table.id, ...rights);
  const theirs = (alias: string) => keyOf(catalogue, a, table, alias);
  const column = mutable(table) ?? table.columns[0]?.name;
  if (column === undefined) return;
  const from = relation(table);
  const breach = rowBreach(schema, table, tenant ? 'any' : 'no tenant');
  const write = rowBreach(schema, table, tenant ? 'write' : 'no tenant');
  const run = (what: string, statement: string, judge = reached, reason = breach) =>
    trial.try({
      table: name,
      what,
      as,
      statements: [...enter, statement, 'set constraints all immediate'],
      answer: 1,
      judge,
      breach: reason,
    });

  await trial.try({
    table: name,
    what: readings,
    as,
    statements: [...enter, reading(table, theirs, column)],
    judge: (result) => readVerdicts(result.rows[0]),
    breach,
  });
  await run('update', `update ${from} t set ${ident(column)} = t.${ident(column)} where ${theirs('t')}`);
  await run('delete', `delete from ${from} t where ${theirs('t')}`);
  await trial.try({
    table: name,
    what: 'copy to stdout',
    as,
    statements: [...enter, `copy (select * from ${from} t where ${theirs('t')}) to stdout`],
    judge: reached,
    breach,
  });
  const spare = pair.spare.a;
  if (spare) {
    await run('insert with the other’s tenant', insertInto(table, given(table, spare)), reached, write);
  } else if (may('insert') && !pair.borrowed && as !== freshConnection) {
    // There is room for one row only: that of A goes first.
    const outcome = await trial.try({
      table: name,
      what: 'insert in place of the other’s row',
      as,
      statements: [
        ...session.as(a.tenant),
        `delete from ${from} t where ${theirs('t')}`,
        ...enter,
        insertInto(table, given(table, a)),
      ],
      judge: reached,
      breach: write,
    });
    if (outcome.error?.code === '23503') {
      trial.notes.add(`${name}: no second row could be made (${pair.spareReason}), so inserts prove little`);
    }
  }
  if (!tenant) return;

  await run('lock (for update)', `select 1 from ${from} t where ${theirs('t')} for update`);
  await run('lock (for key share)', `select 1 from ${from} t where ${theirs('t')} for key share`);
  await run('merge', `merge into ${from} t using (select 1) s on ${theirs('t')} when matched then delete`);
  if (spare) {
    await run('insert … returning', `${insertInto(table, given(table, spare))} returning 1`, reached, write);
  }
  await run(
    'upsert onto the other’s row',
    `${insertInto(table, given(table, a))} on conflict do nothing`,
    reached,
    write,
  );
  if (table.tenantColumn && a.tenant.id !== b.tenant.id) {
    const set = `${ident(table.tenantColumn)} = ${literal(a.tenant.id)}`;
    await run(
      'move own row to the other tenant',
      `update ${from} t set ${set} where ${keyOf(catalogue, b, table, 't')}`,
      reached,
      write,
    );
  }
  await tryBlindly(trial, subject, as, enter, column);
}

/** A statement that reads no column asks no policy for select: those for update and delete are alone then. */
async function tryBlindly(
  trial: Trial,
  { name, table, a, pair }: Subject,
  as: string,
  enter: string[],
  column: string,
): Promise<void> {
  const { session, schema } = trial;
  const own = schema.policiesOf(table).some(({ command }) => command === 'update' || command === 'delete');
  const unread = !schema.may(table.id, 'select') && schema.may(table.id, 'update', 'delete');
  if (!(own || unread) || pair.borrowed) return;
  if (table.estimatedRows > 50_000) {
    trial.notes.add(`${name}: update and delete without a condition were not tried, since it has many rows`);
    return;
  }
  const back = [...session.leave, ...session.as(a.tenant)];
  const there = `select count(*)::int as rows from ${relation(table)} t where ${keyOf(session.catalogue, a, table, 't')}`;
  await trial.try({
    table: name,
    what: 'delete without a condition',
    as,
    statements: [...enter, `delete from ${relation(table)}`, ...back, there],
    judge: ({ rows: [row] }) => ({ through: row.rows === 0, detail: row.rows === 0 ? '1 row' : 'no rows' }),
    breach: rowBreach(schema, table, 'any'),
  });
  await trial.try({
    table: name,
    what: 'update without a condition',
    as,
    statements: [
      ...enter,
      `update ${relation(table)} set ${ident(column)} = ${literal(a.values[column] ?? null)}`,
    ],
    judge: ({ rowCount }) => {
      const changed = rowCount ?? 0;
      return { through: changed > 1, detail: changed > 1 ? rows(changed) : 'own row only' };
    },
    breach: rowBreach(schema, table, 'any'),
  });
  if (!table.tenantColumn) return;
  await trial.try({
    table: name,
    what: 'move without a condition',
    as,
    statements: [
      ...enter,
      `update ${relation(table)} set ${ident(table.tenantColumn)} = ${literal(a.tenant.id)}`,
    ],
    judge: reached,
    breach: rowBreach(schema, table, 'write'),
  });
}

/** A row's values as an insert takes them. */
export function given(table: Table, row: Row): Map<string, string | null> {
  return new Map(
    table.columns.filter(({ generated }) => !generated).map(({ name }) => [name, row.values[name] ?? null]),
  );
}

/** A column that an update may name: none that PostgreSQL alone writes, and rather none of a key. */
export function mutable(table: Table): string | undefined {
  const open = table.columns.filter(
    ({ generated, identity, name }) => !generated && identity !== 'always' && name !== table.tenantColumn,
  );
  return (
    open.find(({ notNull }) => !notNull) ??
    open.at(-1) ??
    table.columns.find(({ generated }) => !generated)
  )?.name;
}
