import { readFileSync } from 'node:fs';
import type pg from 'pg';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { Finding } from '../findings.ts';
import { lint } from '../lint/lint.ts';
import { nameOf } from '../lint/names.ts';
import { makeSchema, type Schema } from '../lint/schema.ts';
import type { SchemaOptions } from '../options.ts';
import { freshConnection } from './attempts/actors.ts';
import { attempts } from './attempts/list.ts';
import { attemptsOn } from './attempts/rows.ts';
import { trySessionSettings } from './attempts/settings.ts';
import { makeTrial, type Trial } from './attempts/trial.ts';
import { control } from './controls.ts';
import { type Filled, fill, makeTenants, type Side } from './fill/fill.ts';
import type { Rules } from './fill/row.ts';
import { readRules } from './fill/rules.ts';
import { findingsOf, notProved } from './findings.ts';
import type { Report } from './report.ts';
import type { Tenant } from './session.ts';
import { openSession, type Session } from './session.ts';
import { literal } from './sql.ts';
import { likeOf, subjectsOf } from './subjects.ts';

/**
 * Proves by attempt that one tenant cannot reach another's rows: makes rows for two tenants, acts as the runtime
 * role of the catalogue for one of them and for none, and tries to see, change and learn of the other's rows. All
 * of it happens in transactions that are rolled back; sequences may advance. The client needs a role that may write
 * to the tables and become the runtime role: their owner, or a superuser. Throws when it may not, when the
 * connection is read-only and when it has a transaction open. What could not be tried is a finding as well.
 */
export async function prove(
  client: pg.ClientBase,
  catalogue: Catalogue,
  options: SchemaOptions,
): Promise<Report> {
  const started = new Date();
  const { session, close } = await openSession(client, catalogue, options);
  try {
    const schema = makeSchema(catalogue, options);
    const rules = await session.transaction(() => readRules(session, catalogue));
    const tenants = makeTenants(catalogue, options, rules);
    const fresh = await onFreshConnection(session, schema, rules, tenants);
    await session.run(
      ['begin', ...session.become, ...session.as(tenants.a), 'select 1', 'commit'].join('; '),
    );
    const trial = await session.transaction(async () => {
      const filled = await fill(session, rules, tenants, { spares: ['a', 'b'], silent: false });
      const made = await begin(session, schema, rules, filled);
      await control(made);
      for (const attempt of attempts) await attempt(made);
      return made;
    });
    await trySessionSettings(trial);
    const linted = lint(catalogue, options);
    const all = [...(fresh?.attempts ?? []), ...trial.attempts];
    const unfilled = [...trial.filled.unfilled].map(([id, reason]) => ({
      table: nameOf(schema.table(id)!),
      reason,
    }));
    return {
      findings: [
        ...findingsOf([...(fresh?.breaches ?? []), ...trial.breaches], linted),
        ...unknown(trial, linted),
      ],
      attempts: all,
      controls: trial.controls,
      unfilled,
      notes: [
        ...trial.notes,
        ...trial.filled.notes,
        ...notesOf(trial, fresh),
        'everything was rolled back; sequences may have advanced',
      ],
      tables: trial.subjects.length,
      startedAt: started.toISOString(),
      duration: Date.now() - started.getTime(),
      database: catalogue.database,
      server: `${Math.floor(catalogue.version / 10_000)}.${catalogue.version % 10_000}`,
      role: catalogue.role.name,
      version: packageVersion(),
    };
  } finally {
    close();
  }
}

/** Without a setting that was ever set, which is null and not empty: only the first transaction can try it. */
async function onFreshConnection(
  session: Session,
  schema: Schema,
  rules: Rules,
  tenants: Record<Side, Tenant>,
): Promise<Trial | undefined> {
  const names = [...session.options.settings, 'request.jwt.claims'];
  const { rows } = await session.run(
    `select ${names.map((name) => `current_setting(${literal(name)}, true) is null`).join(' and ')} as fresh`,
  );
  if (!rows[0].fresh) return undefined;
  return session.transaction(async () => {
    const filled = await fill(session, rules, tenants, { spares: ['a'], silent: true });
    await session.run('savepoint attempt');
    const trial = makeTrial({ session, schema, rules, filled, subjects: subjectsOf(schema, filled) });
    for (const subject of trial.subjects) {
      await attemptsOn(trial, subject, freshConnection, session.become, false);
    }
    return trial;
  });
}

async function begin(session: Session, schema: Schema, rules: Rules, filled: Filled): Promise<Trial> {
  await session.run([...session.unset, 'savepoint attempt'].join('; '));
  return makeTrial({ session, schema, rules, filled, subjects: subjectsOf(schema, filled) });
}

/** What nothing was learnt about: a finding each, so that silence never looks like safety. */
function unknown(trial: Trial, linted: Finding[]): Finding[] {
  const { schema, filled, subjects } = trial;
  const open = (id: string) => schema.may(id, 'select', 'insert', 'update', 'delete', 'truncate');
  const reasons = new Map(trial.unproved);
  for (const [id, reason] of filled.unfilled) {
    const table = schema.table(id)!;
    if (open(id) && !schema.isShared(table)) reasons.set(nameOf(table), `no row could be made: ${reason}`);
  }
  const tried = new Set(subjects.map(({ table }) => table.id));
  for (const table of schema.catalogue.tables) {
    if (tried.has(table.id) || filled.unfilled.has(table.id) || schema.isShared(table) || !open(table.id))
      continue;
    const like = likeOf(schema, table, subjects);
    if (like)
      trial.notes.add(`${nameOf(table)}: no row belongs there; it is in all things like ${nameOf(like)}`);
    else reasons.set(nameOf(table), 'no row could be made that belongs into this partition');
  }
  return [...reasons].map(([name, reason]) => notProved(name, reason, linted));
}

function notesOf({ subjects }: Trial, fresh: Trial | undefined): string[] {
  if (!fresh) {
    return ['the connection had been used with a tenant before, so a fresh one was not tried'];
  }
  const tried = new Set(fresh.subjects.map(({ name }) => name));
  const left = subjects.filter(({ name }) => !tried.has(name)).map(({ name }) => name);
  if (left.length === 0) return [];
  return [
    `on a fresh connection ${left.length} of ${subjects.length} tables were not tried, since their rows need a tenant: ${left.slice(0, 10).join(', ')}${left.length > 10 ? ' …' : ''}`,
  ];
}

function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
