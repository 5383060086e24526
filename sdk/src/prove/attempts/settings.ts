import { quoted, signature } from '../../lint/names.ts';
import { insertInto } from '../fill/row.ts';
import { ident, literal, relation } from '../sql.ts';
import { readSignatures } from './functions.ts';
import { given } from './rows.ts';
import type { Trial } from './trial.ts';

const tenantSettings = (trial: Trial) => [...trial.session.options.settings, 'request.jwt.claims'];

/** Connections that start as a tenant: what forgets to set one is that one. */
export async function tryDefaults(trial: Trial): Promise<void> {
  const { session, subjects } = trial;
  const { role, defaults } = session.catalogue;
  for (const { role: of, database, name, value } of defaults) {
    if (!tenantSettings(trial).includes(name) || (of !== '' && of !== role.name) || value === '') continue;
    const set = `select set_config(${literal(name)}, ${literal(value)}, true)`;
    let seen = 'every connection starts as this tenant';
    for (const { table, pair } of subjects) {
      if (!pair.spare.a || !table.tenantColumn || name === 'request.jwt.claims') continue;
      const values = new Map([...given(table, pair.spare.a), [table.tenantColumn, value] as const]);
      const outcome = await session.attempt([
        set,
        insertInto(table, values),
        ...session.become,
        `select count(*)::int as rows from ${relation(table)} t where t.${ident(table.tenantColumn)} = ${literal(value)}`,
      ]);
      if (outcome.error || !outcome.results.at(-1)?.rows[0].rows) continue;
      seen = `a row of this tenant was seen in ${relation(table)}`;
      break;
    }
    trial.record(
      {
        table: of ? `role ${quoted(of)}` : 'database',
        what: `set no tenant (default of ${name})`,
        as: 'no tenant (fresh connection)',
        outcome: 'got through',
        detail: seen,
      },
      {
        rules: ['P-07/default-tenant'],
        object: of ? `role ${quoted(of)}` : 'database',
        fix: of
          ? `alter role ${quoted(of)}${database ? ` in database ${quoted(database)}` : ''} reset ${name};`
          : `alter database ${quoted(database)} reset ${name};`,
      },
    );
  }
}

/**
 * Calls functions that speak of the setting, and looks whether the tenant outlives the transaction. Only a commit
 * shows that, so the transaction is read-only; afterwards the settings are as they were.
 */
export async function trySessionSettings(trial: Trial): Promise<void> {
  const { session, filled } = trial;
  const settings = tenantSettings(trial);
  const setters = session.catalogue.functions.filter(
    ({ callable, extension, source, settings: clauses }) =>
      callable &&
      extension === undefined &&
      settings.some(
        (name) => source.includes(name) || clauses.some((clause) => clause.startsWith(`${name}=`)),
      ) &&
      !/\bnotify\b|pg_notify|dblink|\bcommit\b/i.test(source),
  );
  const signatures = await readSignatures(trial, setters);
  for (const routine of setters) {
    const found = signatures.get(routine.id);
    if (!found) continue;
    const { id } = filled.tenants.a;
    const called = `${ident(routine.schema)}.${ident(routine.name)}(${found.types
      .map((type) => `${literal(/\.(uuid|text|varchar|name|bpchar)$/.test(type) ? id : null)}::${type}`)
      .join(', ')})`;
    const object = `function ${signature(routine)}`;
    const as = 'the next on the connection';
    const what = 'find the tenant that an earlier transaction left';
    const refusal = await session
      .run(
        [
          'begin read only',
          `set local statement_timeout = '5s'`,
          ...session.become,
          found.procedure ? `call ${called}` : `select ${called}`,
          'commit',
        ].join(';\n'),
      )
      .then(
        () => undefined,
        async (error) => {
          await session.run('rollback');
          return error.message as string;
        },
      );
    const left = await session.run(
      `select ${settings.map((name, index) => `current_setting(${literal(name)}, true) as s${index}`).join(', ')}`,
    );
    await session.run(settings.map((name) => `reset ${name.split('.').map(ident).join('.')}`).join('; '));
    const stayed = Object.values(left.rows[0]).some(
      (value) => typeof value === 'string' && value.includes(id),
    );
    trial.record(
      {
        table: object,
        what,
        as,
        outcome: stayed ? 'got through' : refusal === undefined ? 'nothing' : 'refused',
        detail: stayed ? 'the tenant outlived its transaction' : (refusal ?? 'the tenant was gone'),
      },
      {
        rules: ['P-07/session-tenant'],
        object,
        fix: 'Set the tenant with set_config(…, true) where the transaction begins, as withTenant does, and drop this function.',
      },
    );
  }
}
