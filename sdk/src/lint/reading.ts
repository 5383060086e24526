import type { RoutineInfo } from '../catalogue/catalogue.ts';
import type { SchemaOptions } from '../options.ts';
import { type Call, calls, type Token, tokens } from './tokens.ts';

/** What an expression, or the source of a function, says of who is asking. */
export interface Reading {
  all: Token[];
  calls: Call[];
  /** These, and those in functions that it calls. */
  reached: Pick<Call, 'schema' | 'name'>[];
  /** It depends on who asks: on a setting of one's own, or on the role. */
  bound: boolean;
  /** Without a tenant it is an error. */
  raises: boolean;
  /** It asks for the role, itself or by a function. */
  role: boolean;
  /** Asks for a setting that may be missing, and does not treat the empty one like the missing one. */
  emptyTrap: boolean;
  /** It comes from the claims of a token, and not from a setting for the tenant. */
  claims: boolean;
}

export type Reader = (sql: string, returns?: string) => Reading;

const roleWords = new Set(['current_user', 'session_user', 'current_role', 'user']);
const typesThatRefuseEmpty = /^(uuid|u?int\d?|integer|bigint|smallint|numeric|json|jsonb)$/;

/** Makes a reader that follows calls into the functions of the catalogue. */
export function makeReader(functions: RoutineInfo[], options: SchemaOptions): Reader {
  const known = new Map<string, Reading>();

  function functionsOf(call: Call): RoutineInfo[] {
    return functions.filter(
      ({ schema, name }) => name === call.name && (call.schema === undefined || schema === call.schema),
    );
  }

  function readFunction(routine: RoutineInfo): Reading {
    const before = known.get(routine.id);
    if (before) return before;
    // What calls itself finds this.
    known.set(routine.id, read(''));
    const reading = read(routine.source, routine.returns);
    known.set(routine.id, reading);
    return reading;
  }

  function read(sql: string, returns = ''): Reading {
    const all = tokens(sql);
    const found = calls(all);
    const settings = found
      .filter(({ name }) => name === 'current_setting')
      .map((call) => ({
        name: call.arguments[0]?.[0]?.kind === 'string' ? call.arguments[0][0].text : '',
        mayMiss: call.arguments[1]?.[0]?.text === 'true',
      }))
      .filter(({ name }) => isCallers(name, options));
    const called = found.flatMap(functionsOf).map(readFunction);
    const any = (what: 'bound' | 'raises' | 'role' | 'emptyTrap' | 'claims') =>
      called.some((one) => one[what]);

    const raisesItself = all.some(
      ({ kind, text }, index) =>
        kind === 'word' &&
        text === 'raise' &&
        !/^(notice|warning|info|debug|log)$/.test(all[index + 1]?.text ?? ''),
    );
    const treatsEmpty =
      all.some(({ kind, text }) => kind === 'string' && text === '') ||
      found.some(({ name }) => /^(char(acter)?_)?length$/.test(name));
    const refusesEmpty =
      typesThatRefuseEmpty.test(returns) ||
      all.some(
        ({ text }, index) =>
          (text === '::' || text === 'as') && typesThatRefuseEmpty.test(all[index + 1]?.text ?? ''),
      );
    const strict = settings.some(({ mayMiss }) => !mayMiss) && refusesEmpty;
    const role =
      all.some(({ kind, text }) => kind === 'word' && roleWords.has(text)) ||
      found.some(({ name }) => name === 'pg_has_role');
    return {
      all,
      calls: found,
      reached: [...found, ...called.flatMap(({ reached }) => reached)],
      bound: settings.length > 0 || role || any('bound'),
      raises: strict || (raisesItself && settings.length > 0) || any('raises'),
      role: role || any('role'),
      emptyTrap: (settings.length > 0 && !treatsEmpty && !strict && !raisesItself) || any('emptyTrap'),
      claims: settings.some(({ name }) => name.startsWith('request.jwt')) || any('claims'),
    };
  }

  return read;
}

/** Settings of PostgreSQL's own have no dot, and say nothing of the caller. */
function isCallers(name: string, options: SchemaOptions): boolean {
  return name.includes('.') || options.settings.includes(name);
}
