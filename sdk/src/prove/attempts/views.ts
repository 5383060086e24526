import type { View } from '../../catalogue/catalogue.ts';
import { nameOf, quoted } from '../../lint/names.ts';
import type { Pair } from '../fill/fill.ts';
import { insertInto } from '../fill/row.ts';
import type { Breach } from '../findings.ts';
import { ident, literals, relation } from '../sql.ts';
import { anotherTenant } from './actors.ts';
import { given } from './rows.ts';
import { reached, rows, type Trial } from './trial.ts';

/** Texts that only rows of A have: what holds one of them has seen A. */
export function marksOf(pairs: Pair[]): string[] {
  const marks = pairs.flatMap(({ a, b }) => {
    const own = new Set(Object.values(b.values));
    return Object.values(a.values).filter(
      (value): value is string =>
        value !== null && value.length > 7 && !own.has(value) && !/^[\d\s:.+-]+$/.test(value),
    );
  });
  return [...new Set(marks)];
}

/** A condition on a whole row as text. */
export function holdsMark(text: string, marks: string[]): string {
  if (marks.length === 0) return 'false';
  return `exists (select from unnest(array[${literals(marks)}]::text[]) m where position(m in ${text}) > 0)`;
}

/** Reads and writes through views, and watches whether what B sees changes when A adds a row. */
export async function tryViews(trial: Trial): Promise<void> {
  const { schema, filled } = trial;
  for (const view of schema.catalogue.views) {
    const ids = schema.reads(view).filter((id) => schema.isGuarded(id));
    if (ids.length === 0) continue;
    const name = nameOf(view);
    const pairs = ids.map((id) => filled.pairs.get(id)).filter((pair) => pair !== undefined);
    if (pairs.length < ids.filter((id) => schema.table(id)?.kind !== 'partition').length) {
      if (schema.may(view.id, 'select'))
        trial.unproved.set(name, 'it reads a table in which no row could be made');
      continue;
    }
    await tryView(trial, view, name, pairs);
  }
}

async function tryView(trial: Trial, view: View, name: string, pairs: Pair[]): Promise<void> {
  const { session, schema } = trial;
  const { a, b } = trial.filled.tenants;
  const marks = marksOf(pairs);
  const from = `${relation(view)} v`;
  const breach: Breach = {
    rules: [view.materialised ? 'P-13/materialised-view' : 'P-13/view-of-owner'],
    object: name,
    fix: view.materialised
      ? `revoke all on ${name} from ${quoted(session.catalogue.role.name)};`
      : `alter view ${name} set (security_invoker = true);`,
  };
  // It holds what was there when it was made: made again, it holds our rows.
  const refresh =
    view.materialised && schema.may(view.id, 'select') ? [`refresh materialized view ${relation(view)}`] : [];
  const asB = [...session.become, ...session.as(b)];
  const seen = `select count(*)::int as rows from ${from} where ${holdsMark('v::text', marks)}`;
  for (const [as, enter] of [
    [anotherTenant, asB],
    ['no tenant (connection reused)', [...session.become, ...session.unset]],
  ] as const) {
    const outcome = await trial.try({
      table: name,
      what: 'read through the view',
      as,
      statements: [...refresh, ...enter, seen],
      judge: ({ rows: [row] }) => ({ through: row.rows > 0, detail: rows(row.rows) }),
      breach,
    });
    if (outcome.error?.code === '42501' && refresh.length > 0) {
      trial.unproved.set(name, outcome.error.message);
      return;
    }
  }
  const sum = `select count(*) || ' ' || coalesce(sum(hashtextextended(v::text, 0)::numeric), 0) as sum from ${from}`;
  const added = pairs.flatMap(({ table, spare }) =>
    spare.a ? [insertInto(table, given(table, spare.a))] : [],
  );
  if (added.length > 0) {
    await trial.try({
      table: name,
      what: 'tell from the view that a row was added',
      as: anotherTenant,
      statements: [
        ...refresh,
        ...asB,
        sum,
        sum,
        ...session.leave,
        ...session.as(a),
        ...added,
        ...refresh,
        ...asB,
        sum,
      ],
      judge: ({ rows: [after] }, { results }) => {
        const sums = results
          .filter(({ fields }) => fields?.[0]?.name === 'sum')
          .map(({ rows: [row] }) => row.sum);
        const through = sums[0] === sums[1] && after.sum !== sums[0];
        return { through, detail: through ? 'it changed with the other’s row' : 'it stayed the same' };
      },
      breach,
    });
  }
  if (view.materialised || !schema.may(view.id, 'insert', 'update', 'delete')) return;
  await writeThrough(trial, view, name, pairs, breach);
}

async function writeThrough(trial: Trial, view: View, name: string, pairs: Pair[], breach: Breach) {
  const { session } = trial;
  const asB = [...session.become, ...session.as(trial.filled.tenants.b)];
  const marked = holdsMark('v::text', marksOf(pairs));
  const fields =
    (await session.attempt([`select * from ${relation(view)} limit 0`])).results.at(-1)?.fields ?? [];
  const run = (what: string, statement: string) =>
    trial.try({
      table: name,
      what: `${what} through the view`,
      as: anotherTenant,
      statements: [...asB, statement],
      judge: reached,
      breach,
    });
  await run('delete', `delete from ${relation(view)} v where ${marked}`);
  const column = fields[0]?.name;
  if (column) {
    await run(
      'update',
      `update ${relation(view)} v set ${ident(column)} = v.${ident(column)} where ${marked}`,
    );
  }
  const pair = pairs.find(
    ({ spare, table }) =>
      spare.a && fields.every(({ name: field }) => table.columns.some((one) => one.name === field)),
  );
  if (!pair) return;
  const shown = new Set(fields.map((field) => field.name));
  const values = new Map([...given(pair.table, pair.spare.a!)].filter(([field]) => shown.has(field)));
  await run('insert with the other’s tenant', insertInto(view, values));
}
