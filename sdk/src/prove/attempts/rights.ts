import { nameOf, quoted } from '../../lint/names.ts';
import { copyLine } from '../copy.ts';
import { keyOf } from '../fill/key.ts';
import { insertInto } from '../fill/row.ts';
import { rowBreach } from '../findings.ts';
import { ident, relation } from '../sql.ts';
import { anotherTenant } from './actors.ts';
import { given } from './rows.ts';
import { rows, type Subject, type Trial } from './trial.ts';

/** What acts on a table and not on rows that are seen: no policy stops it. */
export async function tryRights(trial: Trial): Promise<void> {
  for (const subject of trial.subjects) {
    if (subject.name !== nameOf(subject.table)) continue;
    await tryTable(trial, subject);
    await tryTrigger(trial, subject);
  }
}

async function tryTable(trial: Trial, { name, table, a, b, pair }: Subject): Promise<void> {
  const { session, schema } = trial;
  const enter = [...session.become, ...session.as(b.tenant)];
  const from = relation(table);
  const key = keyOf(session.catalogue, a, table, 't');
  const there = `select count(*)::int as rows from ${from} t where ${key}`;
  const beyond = {
    rules: ['P-12/right-beyond-policies'],
    object: name,
    fix: `revoke truncate, references, trigger on ${name} from ${quoted(session.catalogue.role.name)};`,
  };
  const owned = {
    rules: ['P-01/owns-table'],
    object: name,
    fix: 'Let migrations run as a role of their own that owns the tables, and give the runtime role rights on rows only.',
  };
  const breach = schema.catalogue.role.name === table.owner ? owned : beyond;
  const truncate = (more: string) =>
    trial.try({
      table: name,
      what: `truncate${more}`,
      as: anotherTenant,
      statements: [...enter, `truncate ${from}${more}`],
      judge: () => ({ through: true, detail: 'the rows of all tenants went' }),
      breach,
    });
  const plain = await truncate('');
  // Another table refers to this one.
  if (plain.error?.code === '0A000') await truncate(' cascade');
  await trial.try({
    table: name,
    what: 'switch the policies off',
    as: anotherTenant,
    statements: [...enter, `alter table ${from} disable row level security`, there],
    judge: ({ rows: [row] }) => ({ through: row.rows > 0, detail: rows(row.rows) }),
    breach: owned,
  });
  if (table.kind === 'partition') return;
  await trial.try({
    table: name,
    what: 'read with row_security off',
    as: anotherTenant,
    statements: [...enter, 'set local row_security = off', there],
    judge: ({ rows: [row] }) => ({ through: row.rows > 0, detail: rows(row.rows) }),
    breach: table.rls ? owned : rowBreach(schema, table, 'any'),
  });
  const spare = pair.spare.a;
  if (!spare) return;
  const values = given(table, spare);
  await trial.try({
    table: name,
    what: 'copy from stdin',
    as: anotherTenant,
    statements: [...enter, `copy ${from} (${[...values.keys()].map(ident).join(', ')}) from stdin`],
    lines: copyLine([...values.values()]),
    judge: () => ({ through: true, detail: 'a row with the other’s tenant was copied in' }),
    breach: rowBreach(schema, table, 'any'),
  });
}

/** A trigger of one's own runs for the rows of all: it is put on, and the other tenant adds a row. */
async function tryTrigger(trial: Trial, { name, table, a, b, pair }: Subject): Promise<void> {
  const { session, schema } = trial;
  if (!schema.may(table.id, 'trigger') || table.kind === 'partition') return;
  const spare = pair.spare.a;
  const marks = Object.values(spare?.values ?? {}).filter((value) => value !== null && value.length > 7);
  await trial.try({
    table: name,
    what: 'put a trigger on it',
    as: anotherTenant,
    statements: [
      ...session.become,
      ...session.as(b.tenant),
      `create function pg_temp.prove_tell() returns trigger language plpgsql as $prove$ begin raise notice '%', new; return null; end $prove$`,
      `create trigger prove_tell after insert on ${relation(table)} for each row execute function pg_temp.prove_tell()`,
      ...session.leave,
      ...session.as(a.tenant),
      ...(spare ? [insertInto(table, given(table, spare))] : []),
      'select 1',
    ],
    judge: (_, { notices }) => {
      const heard = notices.some((notice) => marks.some((mark) => notice.includes(mark!)));
      return {
        through: heard,
        detail: heard ? 'the trigger was given the other’s row' : 'the trigger heard nothing',
      };
    },
    breach: {
      rules: ['P-12/right-beyond-policies', 'P-01/owns-table'],
      object: name,
      fix: `revoke trigger on ${name} from ${quoted(session.catalogue.role.name)};`,
    },
  });
}
