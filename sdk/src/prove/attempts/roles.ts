import { nameOf, quoted } from '../../lint/names.ts';
import { keyOf } from '../fill/key.ts';
import { ident, literal, relation } from '../sql.ts';
import { mutable, reading, readings, readVerdicts } from './rows.ts';
import type { Trial } from './trial.ts';

/** Reads as every role that the runtime role may become, and as what runs with the rights of a table's owner. */
export async function tryRoles(trial: Trial): Promise<void> {
  const { session, subjects } = trial;
  const { role, roles } = session.catalogue;
  const reachable = role.superuser ? [] : role.memberOf.filter((name) => !name.startsWith('pg_'));
  for (const name of reachable) {
    for (const { table, a, b, name: object } of subjects) {
      await trial.try({
        table: object,
        what: readings.map((reading) => `${reading} after set role`),
        as: `another tenant that became ${quoted(name)}`,
        statements: [
          ...session.become,
          `set local role ${ident(name)}`,
          ...session.as(b.tenant),
          reading(table, (alias) => keyOf(session.catalogue, a, table, alias), mutable(table) ?? 'tableoid'),
        ],
        judge: ({ rows: [row] }) => readVerdicts(row),
        breach: {
          rules: ['P-01/may-become', 'P-01/owns-table'],
          object: `role ${quoted(role.name)}`,
          fix: `revoke ${quoted(name)} from ${quoted(role.name)};`,
        },
      });
    }
  }
  const refused = new Set<string>();
  for (const { table, a, b, name } of subjects) {
    const owner = roles.find((one) => one.name === table.owner);
    if (!table.rls || !owner || owner.superuser || owner.bypassRls || owner.name === role.name) continue;
    if (refused.has(owner.name) || reachable.includes(owner.name)) continue;
    const outcome = await session.attempt([`set local role ${ident(owner.name)}`]);
    if (outcome.error) {
      refused.add(owner.name);
      trial.notes.add(`nothing was tried with the rights of ${quoted(owner.name)}: ${outcome.error.message}`);
      continue;
    }
    await trial.try({
      table: name,
      what: readings,
      as: `another tenant, with the rights of the owner`,
      statements: [
        `set local role ${ident(owner.name)}`,
        ...session.as(b.tenant),
        reading(table, (alias) => keyOf(session.catalogue, a, table, alias), mutable(table) ?? 'tableoid'),
      ],
      judge: ({ rows: [row] }) => readVerdicts(row),
      breach: {
        rules: [
          'P-02/unforced-rls',
          'P-21/open-policy',
          'P-11/open-check',
          'P-11/no-check',
          'P-22/undecided-table',
        ],
        object: name,
        fix: `alter table ${name} force row level security;`,
      },
    });
  }
}

/** Columns are sampled into statistics, whoever's row it was. */
export async function tryStatistics(trial: Trial): Promise<void> {
  const { session } = trial;
  const found = trial.subjects.find(
    ({ table, pair, name }) =>
      name === nameOf(table) && !pair.borrowed && table.kind === 'table' && table.estimatedRows < 10_000,
  );
  if (!found) return;
  const { table, a, b } = found;
  const readable = session.catalogue.grants.some(({ object }) => object === 'pg_catalog.pg_statistic');
  const own = new Set(Object.values(b.values));
  const marks = Object.values(a.values).filter(
    (value) => value !== null && value.length > 7 && !own.has(value),
  );
  await trial.try({
    table: 'pg_catalog.pg_statistic',
    what: `read the statistics of ${nameOf(table)}`,
    as: 'another tenant',
    statements: [
      ...(readable ? [`analyze ${relation(table)}`] : []),
      ...session.become,
      ...session.as(b.tenant),
      `select s::text as text from pg_catalog.pg_statistic s where s.starelid = ${literal(table.id)}`,
    ],
    judge: ({ rows }) => {
      const seen = rows.some(({ text }) => marks.some((mark) => text.includes(mark)));
      return { through: seen, detail: seen ? 'a value of the other’s row' : 'no value of the other’s row' };
    },
    breach: {
      rules: ['P-19/readable-statistics'],
      object: 'pg_catalog.pg_statistic',
      fix: 'revoke select on pg_catalog.pg_statistic from public;',
    },
  });
}
