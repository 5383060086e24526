import type { RoutineInfo } from '../catalogue/catalogue.ts';
import { quoted, signature } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';
import { type Call, hasWords, type Token } from './tokens.ts';

/** What somebody here wrote: extensions answer for their own. */
const own = ({ catalogue }: Schema) => catalogue.functions.filter(({ extension }) => extension === undefined);

const objectOf = (routine: RoutineInfo) => `function ${signature(routine)}`;

/** Calls of `set_config`, and `set` statements, that give a tenant; the value of `local` where it is written out. */
function tenantsSet(schema: Schema, routine: RoutineInfo): ('local' | 'session')[] {
  const settings = new Set([...schema.options.settings, 'request.jwt.claims']);
  const { all, calls } = schema.read(routine.source);
  const called = calls
    .filter(({ name, arguments: parts }) => name === 'set_config' && settings.has(parts[0]?.[0]?.text ?? ''))
    .map(({ arguments: parts }) => (parts[2]?.[0]?.text === 'true' ? 'local' : 'session'));
  const stated = all.flatMap((token, index) => {
    if (token.kind !== 'word' || token.text !== 'set') return [];
    const next = all[index + 1]?.text;
    const at = next === 'local' || next === 'session' ? index + 2 : index + 1;
    const name = `${all[at]?.text}.${all[at + 2]?.text}`;
    return all[at + 1]?.text === '.' && settings.has(name)
      ? [next === 'local' ? ('local' as const) : ('session' as const)]
      : [];
  });
  // A statement that is executed as text.
  const executed = all
    .filter(({ kind }) => kind === 'string')
    .flatMap(({ text }) => [...text.matchAll(/\bset\s+(?:(local|session)\s+)?(\w+\.\w+)\s*(?:=|to\b)/gi)])
    .filter(([, , name]) => settings.has(name!.toLowerCase()))
    .map(([, scope]) => (scope?.toLowerCase() === 'local' ? 'local' : 'session'));
  return [...called, ...stated, ...executed] as ('local' | 'session')[];
}

const hasClause = (schema: Schema, { settings }: RoutineInfo) =>
  settings.some((setting) => schema.options.settings.includes(setting.split('=')[0]!));

/** Whether it runs for the runtime role: called, or by a trigger of a table that the role may write to. */
function runsFor(schema: Schema, routine: RoutineInfo): boolean {
  return (
    routine.callable ||
    schema.catalogue.triggers.some(
      (trigger) =>
        trigger.function === routine.id &&
        trigger.enabled &&
        schema.may(trigger.table, 'insert', 'update', 'delete'),
    )
  );
}

const definers = (schema: Schema) =>
  own(schema).filter((routine) => routine.definer && runsFor(schema, routine));

export const functionRules: Rule[] = [
  {
    id: 'P-06/tenant-set-in-function',
    title: 'A function sets the tenant',
    why: 'Called outside of a transaction, the tenant is gone when the statement ends; called from SQL, anybody names one.',
    level: 'warning',
    find: (schema) =>
      own(schema)
        .filter((routine) => hasClause(schema, routine) || tenantsSet(schema, routine).includes('local'))
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'outside of a transaction the tenant it sets is gone with the statement, and the next query runs without one or with an old one',
          fix: 'Set the tenant where the transaction begins, as withTenant does, and drop this function.',
        })),
  },
  {
    id: 'P-07/session-tenant',
    title: 'A function sets the tenant for the whole connection',
    why: 'Behind a pool the next user of the connection works as this tenant.',
    level: 'error',
    find: (schema) =>
      own(schema)
        .filter((routine) => tenantsSet(schema, routine).includes('session'))
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'the tenant stays on the connection: whoever gets it next from the pool sees this tenant’s rows',
          fix: 'Set the tenant with set_config(…, true) where the transaction begins, as withTenant does, and drop this function.',
        })),
  },
  {
    id: 'P-14/definer-bypasses',
    title: 'A function runs with the rights of one whom policies do not bind',
    why: 'Who calls it sees what its owner sees: all tenants.',
    level: 'error',
    find: (schema) =>
      definers(schema)
        .filter(({ owner }) => schema.bypasses(owner) || ownsOpenTable(schema, owner))
        .map((routine) => ({
          object: objectOf(routine),
          risk: `it runs with the rights of ${quoted(routine.owner)}, whom policies do not bind, and the runtime role may make it run`,
          fix: schema.isPolicyHelper(routine)
            ? `A policy calls it, so with the caller's rights it could ask itself without end: give it to a role without BYPASSRLS that owns no table which it reads and may select from those, with a policy for that role.`
            : `alter routine ${signature(routine)} security invoker;`,
        })),
  },
  {
    id: 'P-14/definer-search-path',
    title: 'A function with its owner’s rights has no search_path of its own',
    why: 'Who calls it can put a table or a function of their own before the one it means.',
    level: 'warning',
    find: (schema) =>
      definers(schema)
        .filter(({ settings }) => !settings.some((setting) => setting.startsWith('search_path=')))
        .map((routine) => ({
          object: objectOf(routine),
          risk: `who calls it decides by search_path what its names mean, and it acts with the rights of ${quoted(routine.owner)}`,
          fix: `alter routine ${signature(routine)} set search_path = ${quoted(routine.schema)}, pg_temp;`,
        })),
  },
  {
    id: 'P-14/definer-for-everybody',
    title: 'Everybody may call a function that has its owner’s rights',
    why: 'PUBLIC may execute what nobody has revoked.',
    level: 'warning',
    find: (schema) =>
      definers(schema)
        .filter((routine) =>
          schema.catalogue.grants.some(
            ({ kind, id, through }) => kind === 'function' && id === routine.id && through.includes('public'),
          ),
        )
        .map((routine) => ({
          object: objectOf(routine),
          risk: `every role that can log in may act with the rights of ${quoted(routine.owner)}`,
          fix: `revoke execute on routine ${signature(routine)} from public;${schema.isPolicyHelper(routine) ? `\ngrant execute on routine ${signature(routine)} to ${quoted(schema.catalogue.role.name)};` : ''}`,
        })),
  },
  {
    id: 'P-15/copy-from',
    title: 'A function copies into tables',
    why: 'COPY FROM is refused under row-level security, so it works only for those whom no policy binds.',
    level: 'warning',
    find: (schema) =>
      own(schema)
        .filter((routine) => copiesIn(schema, routine))
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'COPY FROM is refused under row-level security: it fails, or runs as one who may write rows of any tenant',
          fix: 'Import with insert … select, which asks the policies.',
        })),
  },
  {
    id: 'P-16/leakproof',
    title: 'A function is called leakproof',
    why: 'PostgreSQL lets it see rows before a policy has refused them.',
    level: 'error',
    find: (schema) =>
      own(schema)
        .filter(({ leakproof }) => leakproof)
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'it is given rows of other tenants before a policy has refused them, and may tell them in an error or a notice',
          fix: `alter routine ${signature(routine)} not leakproof;`,
        })),
  },
  {
    id: 'P-17/dynamic-sql',
    title: 'A function puts SQL together from values',
    why: 'Who writes the value writes SQL, and SQL can name another tenant.',
    level: 'error',
    find: (schema) =>
      own(schema)
        .filter((routine) => routine.callable && joinsSql(schema, routine))
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'a value that becomes SQL can set another tenant: row-level security does not stop SQL injection',
          fix: 'Pass values with "execute … using", and names with format(\'%I\', …).',
        })),
  },
  {
    id: 'P-20/notified-rows',
    title: 'Rows go out over a channel',
    why: 'Everybody who is connected may listen to every channel.',
    level: 'error',
    find: (schema) =>
      own(schema)
        .filter((routine) => {
          const { calls } = schema.read(routine.source);
          return calls.some(
            ({ name, arguments: parts }) =>
              (name === 'pg_notify' && holdsRow(parts[1] ?? [])) ||
              (/^(row_to_json|to_jsonb?|hstore)$/.test(name) &&
                calls.some((call) => call.name === 'pg_notify')),
          );
        })
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'every connection may listen to the channel, and gets rows of all tenants',
          fix: 'Send the key of the row only; who may see the row reads it.',
        })),
  },
  {
    id: 'P-20/shared-lock',
    title: 'A lock that all tenants share',
    why: 'One tenant that holds it stops the others.',
    level: 'note',
    find: (schema) =>
      own(schema)
        .filter(({ callable }) => callable)
        .filter((routine) => {
          const { all, calls } = schema.read(routine.source);
          return calls.some(
            (call) => /^pg_(try_)?advisory_(xact_)?lock/.test(call.name) && isConstant(all, call),
          );
        })
        .map((routine) => ({
          object: objectOf(routine),
          risk: 'the number of the lock says no tenant: one tenant that holds it makes all others wait',
          fix: "Make the number from the tenant and the purpose: hashtextextended(tenant.id()::text || 'purpose', 0).",
        })),
  },
];

function ownsOpenTable({ catalogue, isGuarded }: Schema, owner: string): boolean {
  return catalogue.tables.some(
    (table) => table.owner === owner && !table.forced && isGuarded(table.id) && table.rls,
  );
}

/** A whole row: `new::text`, `new.*`. */
function holdsRow(payload: Token[]): boolean {
  return payload.some(
    ({ kind, text }, index) =>
      kind === 'word' &&
      /^(new|old)$/.test(text) &&
      (payload[index + 1]?.text !== '.' || payload[index + 2]?.text === '*'),
  );
}

function copiesIn(schema: Schema, { source }: RoutineInfo): boolean {
  const { all } = schema.read(source);
  const texts = all.filter(({ kind }) => kind === 'string').map(({ text }) => text);
  return (
    texts.some((text) => /^\s*copy\s[^;]*\sfrom\s/i.test(text)) ||
    all.some((token, index) => token.text === 'copy' && hasWords(statement(all, index), 'from'))
  );
}

/** Whether the arguments are the same for everybody: no column, no variable, and no function that asks who is there. */
function isConstant(all: Token[], call: Call): boolean {
  return !all.some(({ kind, text, start, end }, index) => {
    if (start < call.start || end > call.end || text === call.name) return false;
    const isType = all[index - 1]?.text === '::';
    const isPure = all[index + 1]?.text === '(' && /^hash|^pg_|^md5$|^sha\d+$/.test(text);
    return (kind === 'word' || kind === 'quoted') && !isType && !isPure;
  });
}

/** The pieces from here to the end of the statement. */
function statement(all: Token[], from: number): Token[] {
  const end = all.findIndex(({ kind, text }, index) => index > from && kind === 'symbol' && text === ';');
  return all.slice(from, end === -1 ? undefined : end);
}

/** Whether it executes text that has a value in it which is not quoted. */
function joinsSql(schema: Schema, { source, language }: RoutineInfo): boolean {
  if (language !== 'plpgsql') return false;
  const { all, calls } = schema.read(source);
  return all.some((token, index) => {
    if (token.kind !== 'word' || token.text !== 'execute') return false;
    const executed = beforeUsing(statement(all, index + 1));
    // A variable: then the text may have been put together anywhere in the function.
    const named = executed.length === 1 && executed[0]!.kind === 'word';
    return isJoined(named ? all : executed, calls, source);
  });
}

function beforeUsing(executed: Token[]): Token[] {
  const end = executed.findIndex(({ kind, text }) => kind === 'word' && /^(using|into|loop)$/.test(text));
  return end === -1 ? executed : executed.slice(0, end);
}

function isJoined(
  piece: Token[],
  calls: { name: string; start: number; end: number }[],
  source: string,
): boolean {
  const inside = (call: { start: number }) => piece.some(({ start }) => start === call.start);
  const formatted = calls
    .filter((call) => inside(call))
    .some(
      ({ name, start, end }) =>
        /^(concat(_ws)?|replace|overlay)$/.test(name) ||
        (name === 'format' && /%(\d+\$)?(-?\d+)?s/.test(source.slice(start, end))),
    );
  const safe = calls.filter((call) => /^(quote_(ident|literal|nullable)|format)$/.test(call.name));
  const operands = piece.filter((token, index) => {
    const beside = [piece[index - 1]?.text, piece[index + 1]?.text].includes('||');
    return (
      beside &&
      token.kind !== 'string' &&
      token.text !== ')' &&
      !safe.some(({ start, end }) => token.start >= start && token.end <= end)
    );
  });
  return formatted || operands.some(({ kind }) => kind === 'word' || kind === 'quoted');
}
