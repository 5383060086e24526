import { given, mutable } from './attempts/rows.ts';
import { rows, type Subject, type Trial } from './attempts/trial.ts';
import type { Side } from './fill/fill.ts';
import { keyOf } from './fill/key.ts';
import { insertInto, makeRow } from './fill/row.ts';
import { ident, relation } from './sql.ts';

/**
 * A tenant reaches its own rows: without that, nobody reaching them proves nothing. A row that its tenant does not
 * see is made again as the application makes it. Tables that the runtime role may not read at all need no control.
 */
export async function control(trial: Trial): Promise<void> {
  for (const subject of trial.subjects) {
    const { name, table, pair } = subject;
    const { schema } = trial;
    if (!schema.may(table.id, 'select', 'insert', 'update', 'delete')) {
      trial.notes.add(`${name}: the runtime role has no rights there`);
      continue;
    }
    if (!schema.may(table.id, 'select')) {
      trial.notes.add(`${name}: the runtime role may not read it`);
      continue;
    }
    let seen = await sees(trial, subject);
    if (seen !== true && !pair.borrowed && (await remake(trial, subject))) seen = await sees(trial, subject);
    trial.controls.push({
      table: name,
      what: 'read own row',
      worked: seen === true,
      detail: seen === true ? '1 row' : seen,
    });
    if (seen !== true) trial.unproved.set(name, `a tenant does not see its own row (${seen})`);
    await write(trial, subject);
  }
}

async function sees({ session }: Trial, { table, there }: Subject): Promise<true | string> {
  for (const row of there) {
    const outcome = await session.attempt([
      ...session.become,
      ...session.as(row.tenant),
      `select count(*)::int as rows from ${relation(table)} t where ${keyOf(session.catalogue, row, table, 't')}`,
    ]);
    if (outcome.error) return outcome.error.message;
    if (!outcome.results.at(-1)?.rows[0].rows) return 'no rows';
  }
  return true;
}

/** As the runtime role: a default or a trigger may have taken the role of the connection for the row's owner. */
async function remake({ session, rules }: Trial, subject: Subject): Promise<boolean> {
  const { table, pair } = subject;
  if (table.kind === 'partition' || pair.table !== table) return false;
  const keys = session.catalogue.constraints.filter(
    (one) => one.table === table.id && one.kind === 'foreign',
  );
  const names = new Set([table.tenantColumn, ...keys.flatMap(({ columns }) => columns)]);
  const make = (side: Side, keep: boolean) =>
    makeRow(session, rules, {
      table,
      tenant: pair[side].tenant,
      fixed: Object.fromEntries(Object.entries(pair[side].values).filter(([name]) => names.has(name))),
      loose: new Set(),
      keep,
      before: session.become,
      after: session.leave,
    });
  await session.run('rollback to savepoint attempt');
  const [a, b] = [await make('a', true), await make('b', true)];
  const made = typeof a !== 'string' && typeof b !== 'string';
  if (made) {
    subject.there = [a, b];
    for (const [side, row] of [['a', a] as const, ['b', b] as const]) {
      pair[side] = row;
      subject[side] = row;
      const spare = await make(side, false);
      if (typeof spare !== 'string') pair.spare[side] = spare;
    }
  }
  await session.run([...session.unset, 'release savepoint attempt', 'savepoint attempt'].join('; '));
  return made;
}

async function write(trial: Trial, { name, table, b, there, pair }: Subject): Promise<void> {
  const { session, schema } = trial;
  const enter = [...session.become, ...session.as(b.tenant)];
  const column = mutable(table);
  const tries: [string, string | undefined][] = [
    [
      'insert',
      pair.spare.b && schema.may(table.id, 'insert')
        ? insertInto(table, given(table, pair.spare.b))
        : undefined,
    ],
    [
      'update',
      column && there.includes(b) && schema.may(table.id, 'update')
        ? `update ${relation(table)} t set ${ident(column)} = t.${ident(column)} where ${keyOf(session.catalogue, b, table, 't')}`
        : undefined,
    ],
  ];
  for (const [what, statement] of tries) {
    if (!statement) continue;
    const outcome = await session.attempt([...enter, statement]);
    const count = outcome.results.at(-1)?.rowCount ?? 0;
    const worked = !outcome.error && count > 0;
    if (worked && what === 'insert') trial.insertable.add(table.id);
    trial.controls.push({
      table: name,
      what: what === 'insert' ? 'insert an own row' : 'update own row',
      worked,
      detail: outcome.error?.message ?? rows(count),
    });
  }
}
