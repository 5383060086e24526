import type { RoutineInfo } from '../../catalogue/catalogue.ts';
import { signature } from '../../lint/names.ts';
import type { Pair } from '../fill/fill.ts';
import { keyOf } from '../fill/key.ts';
import { insertInto } from '../fill/row.ts';
import { readTypes } from '../fill/types.ts';
import { candidates, none } from '../fill/values.ts';
import { ident, literal, literals, relation } from '../sql.ts';
import { anotherTenant } from './actors.ts';
import { given } from './rows.ts';
import { rows, type Trial } from './trial.ts';
import { holdsMark, marksOf } from './views.ts';

export interface Signature {
  id: string;
  procedure: boolean;
  names: string[];
  types: string[];
  typeIds: string[];
}

/** Functions that can be called, with their arguments. Triggers are called by rows. */
export async function readSignatures(
  { session, rules }: Pick<Trial, 'session' | 'rules'>,
  routines: RoutineInfo[],
): Promise<Map<string, Signature>> {
  if (routines.length === 0) return new Map();
  const { rows: found } = await session.run(`
    select p.oid::text as id, p.prokind = 'p' as procedure,
      coalesce(p.proargnames::text[], '{}') as names,
      array(
        select quote_ident(s.nspname) || '.' || quote_ident(y.typname)
        from unnest(p.proargtypes::oid[]) with ordinality u (t, n)
        join pg_type y on y.oid = u.t join pg_namespace s on s.oid = y.typnamespace
        order by n
      ) as types,
      array(select t::text from unnest(p.proargtypes::oid[]) with ordinality u (t, n) order by n) as "typeIds"
    from pg_proc p
    where p.oid in (${literals(routines.map(({ id }) => id))}) and p.prokind in ('f', 'p')
      and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
      and 'internal'::regtype <> all (p.proargtypes::oid[])`);
  const types = await readTypes(
    session,
    found.flatMap(({ typeIds }: Signature) => typeIds),
  );
  for (const [id, type] of types) rules.types.set(id, type);
  return new Map(found.map((one: Signature) => [one.id, one]));
}

/** Calls what runs with its owner's rights, with A's values as arguments. */
export async function tryFunctions(trial: Trial): Promise<void> {
  const { session, schema } = trial;
  const definers = schema.catalogue.functions.filter(
    ({ definer, callable, extension }) => definer && callable && extension === undefined,
  );
  await session.attempt([]);
  const signatures = await readSignatures(trial, definers);
  for (const routine of definers) {
    const found = signatures.get(routine.id);
    if (found) await tryFunction(trial, routine, found);
  }
}

async function tryFunction(trial: Trial, routine: RoutineInfo, found: Signature): Promise<void> {
  const { session, filled } = trial;
  const { a, b } = filled.tenants;
  const pairs = pairsOf(trial, routine);
  const asB = [...session.become, ...session.as(b)];
  const name = `function ${signature(routine)}`;
  const breach = {
    rules: ['P-14/definer-bypasses'],
    object: name,
    fix: `alter routine ${signature(routine)} security invoker;`,
  };
  const state = pairs
    .map(
      ({ table, a: row }) =>
        `(select coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from ${relation(table)} t where ${keyOf(session.catalogue, row, table, 't')})`,
    )
    .slice(0, 100);
  const stateOf = `select array[${state.join(', ')}]::numeric[]::text as state`;
  for (const values of argumentsFor(trial, found)) {
    const called = `${ident(routine.schema)}.${ident(routine.name)}(${values
      .map((value, index) => `${literal(value)}::${found.types[index]}`)
      .join(', ')})`;
    // What was given is not told when it comes back.
    const marks = marksOf(pairs).filter((mark) => !values.includes(mark));
    const look = found.procedure
      ? [`call ${called}`, 'select 0 as rows']
      : [
          `select count(*)::int as rows from (select (${called})::text as r offset 0) x where ${holdsMark('x.r', marks)}`,
        ];
    await trial.try({
      table: name,
      what: `call with ${values.length === 0 ? 'no arguments' : values.every((value) => value === null) ? 'nulls' : 'the other’s values'}`,
      as: anotherTenant,
      statements: [...session.as(a), stateOf, ...asB, ...look, ...session.leave, ...session.as(a), stateOf],
      judge: ({ rows: [after] }, { results, notices }) => {
        const seen = results.find(({ fields }) => fields?.[0]?.name === 'rows')?.rows[0].rows ?? 0;
        const before = results.find(({ fields }) => fields?.[0]?.name === 'state')?.rows[0].state;
        const heard = notices.some((notice) => marks.some((mark) => notice.includes(mark)));
        if (seen > 0) return { through: true, detail: `it gave ${rows(seen)} of the other` };
        if (heard) return { through: true, detail: 'a notice told of the other’s row' };
        const changed = before !== after.state;
        return { through: changed, detail: changed ? 'it changed the other’s row' : 'no rows' };
      },
      told: ({ message }) =>
        marks.some((mark) => message.includes(mark))
          ? { through: true, detail: `the error tells of the other’s row: ${message}` }
          : undefined,
      breach,
    });
    if (found.procedure) continue;
    const sum = `select count(*) || ' ' || coalesce(sum(hashtextextended(x.r, 0)::numeric), 0) as sum from (select (${called})::text as r offset 0) x`;
    const added = pairs.flatMap(({ table, spare }) =>
      spare.a ? [insertInto(table, given(table, spare.a))] : [],
    );
    if (added.length === 0) continue;
    await trial.try({
      table: name,
      what: 'tell from its answer that a row was added',
      as: anotherTenant,
      statements: [...asB, sum, sum, ...session.leave, ...session.as(a), ...added, ...asB, sum],
      judge: ({ rows: [after] }, { results }) => {
        const sums = results
          .filter(({ fields }) => fields?.[0]?.name === 'sum')
          .map(({ rows: [row] }) => row.sum);
        const through = sums[0] === sums[1] && after.sum !== sums[0];
        return {
          through,
          detail: through ? 'its answer changed with the other’s row' : 'it stayed the same',
        };
      },
      breach,
    });
  }
}

/** Tables that it speaks of; all when it speaks of none. */
function pairsOf({ filled, schema }: Trial, { source }: RoutineInfo): Pair[] {
  const all = [...filled.pairs.values()].filter(
    ({ table, borrowed }) => schema.isGuarded(table.id) && !borrowed,
  );
  const named = all.filter(({ table }) => source.includes(table.name));
  return named.length > 0 ? named : all.slice(0, 60);
}

/** Values that somebody would try who wants A's rows: ids of the tenant and of its rows, then nulls. */
function argumentsFor(trial: Trial, { names, types, typeIds }: Signature): (string | null)[][] {
  if (types.length === 0) return [[]];
  const { filled, rules, session } = trial;
  const pairs = [...filled.pairs.values()].filter(({ borrowed }) => !borrowed);
  const plain = (name: string) => name.replace(/^_|^(p|in|arg|v)_/, '');
  const value = (index: number, tenant: boolean): string | null => {
    const name = plain(names[index] ?? '');
    const typeId = typeIds[index]!;
    if (tenant || /tenant/.test(name) || session.options.tenantColumns.includes(name)) {
      const id = pairs.find(({ table }) =>
        table.columns.some((column) => column.name === table.tenantColumn && column.typeId === typeId),
      )?.a.tenant.id;
      if (id !== undefined) return id;
    }
    const columns = pairs.flatMap(({ table, a }) =>
      table.columns
        .filter(
          (column) =>
            column.typeId === typeId && column.name !== table.tenantColumn && a.values[column.name] !== null,
        )
        .map((column) => ({ name: column.name, value: a.values[column.name]! })),
    );
    const same =
      columns.find((column) => column.name === name) ?? columns.find((column) => name.includes(column.name));
    return (
      (same ?? columns[0])?.value ??
      candidates({ name, type: types[index]!, typeId }, rules.types, none)[0] ??
      null
    );
  };
  const sets = [
    types.map((_, index) => value(index, false)),
    types.map((_, index) => value(index, true)),
    types.map(() => null),
  ];
  return [...new Map(sets.map((set) => [JSON.stringify(set), set])).values()];
}

/** A function that is called leakproof is given rows before a policy has refused them. */
export async function tryLeakproof(trial: Trial): Promise<void> {
  const { session, schema } = trial;
  const leakproof = schema.catalogue.functions.filter(({ leakproof, callable }) => leakproof && callable);
  await session.attempt([]);
  const signatures = await readSignatures(trial, leakproof);
  for (const routine of leakproof) {
    const found = signatures.get(routine.id);
    if (found?.types.length !== 1 || found.procedure) continue;
    const name = `function ${signature(routine)}`;
    for (const { table, a, b, name: object } of trial.subjects) {
      const column = table.columns.find(
        (one) => one.typeId === found.typeIds[0] && (a.values[one.name]?.length ?? 0) > 7,
      );
      if (!column) continue;
      const mark = a.values[column.name]!;
      if (b.values[column.name] === mark) continue;
      await trial.try({
        table: object,
        what: `read with ${signature(routine)} in the condition`,
        as: anotherTenant,
        statements: [
          ...session.become,
          ...session.as(b.tenant),
          `select count(*) from ${relation(table)} t where ${ident(routine.schema)}.${ident(routine.name)}(t.${ident(column.name)}) is not null`,
        ],
        judge: (_, { notices }) => {
          const heard = notices.some((notice) => notice.includes(mark));
          return {
            through: heard,
            detail: heard ? 'it was given the other’s row, and told' : 'it was not given the other’s row',
          };
        },
        told: ({ message }) =>
          message.includes(mark)
            ? { through: true, detail: `its error tells of the other’s row: ${message}` }
            : undefined,
        breach: {
          rules: ['P-16/leakproof'],
          object: name,
          fix: `alter routine ${signature(routine)} not leakproof;`,
        },
      });
    }
  }
}
