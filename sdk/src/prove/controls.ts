import { keyOf } from './fill/key.ts';
import { makeRow, insertInto } from './fill/row.ts';
import { type Subject, type Trial, rows } from './attempts/trial.ts';
import { given, mutable } from './attempts/rows.ts';
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

async function sees({ session }: Trial, { table, a, b }: Subject): Promise<true | string> {
  for (const row of [a, b]) {
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

async function remake({ session, rules, filled }: Trial, subject: Subject): Promise<boolean> {
  const { table, pair } = subject;
  if (table.kind === 'partition' || pair.table !== table) return false;
  for (const side of ['a', 'b'] as const) {
    const keys = session.catalogue.constraints.filter(
      (one) => one.table === table.id && one.kind === 'foreign',
    );
    const names = new Set([table.tenantColumn, ...keys.flatMap(({ columns }) => columns)]);
    const fixed = Object.fromEntries(Object.entries(pair[side].values).filter(([name]) => names.has(name)));
    const tenant = filled.tenants[side];
    const row = await makeRow(session, rules, {
      table,
      tenant,
      fixed,
      loose: new Set(),
      keep: true,
      before: session.become,
      after: session.leave,
    });
    if (typeof row === 'string') return false;
    pair[side] = row;
    subject[side] = row;
  }
  return true;
}

async function write(trial: Trial, { name, table, b, pair }: Subject): Promise<void> {
  const { session, schema } = trial;
  const enter = [...session.become, ...session.as(b.tenant)];
  const column = mutable(table);
  const tries: [string, string | undefined][] = [
    [
      'insert',
      pair.spare.b && schema.may(table.id, 'insert') ? insertInto(table, given(table, pair.spare.b)) : undefined,
    ],
    [
      'update',
      column && schema.may(table.id, 'update')
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
