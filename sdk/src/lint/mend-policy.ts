import type { Policy, Table } from '../catalogue/catalogue.ts';
import { nameOf, quoted } from './names.ts';
import type { Schema } from './schema.ts';
import { type Call, replaced } from './tokens.ts';

export interface Held {
  policy: Policy;
  table: Table;
}

/** The expressions that a policy has. */
export const sides = ({ using, check }: Policy): string[] =>
  [using, check].filter((side) => side !== undefined);

/** `alter policy` with both expressions changed; none when that changes nothing. */
export function altered({ policy, table }: Held, change: (sql: string) => string): string | undefined {
  const parts = [
    ...(policy.using === undefined ? [] : [`using (${change(policy.using)})`]),
    ...(policy.check === undefined ? [] : [`with check (${change(policy.check)})`]),
  ];
  const same = sides(policy).every((side) => change(side) === side);
  return same ? undefined : `alter policy ${quoted(policy.name)} on ${nameOf(table)} ${parts.join(' ')};`;
}

/** Without a tenant it shall raise, so the setting may not be missing, and the empty one is left to the cast. */
export function demanding(schema: Schema, sql: string): string {
  const { calls } = schema.read(sql);
  const settings = calls.filter((call) => call.name === 'current_setting' && call.arguments.length === 2);
  const wrapped = (setting: Call) =>
    calls.find(
      ({ name, arguments: parts, start, end }) =>
        name === 'nullif' &&
        parts[1]?.[0]?.text === '' &&
        start < setting.start &&
        end > setting.end &&
        parts[0]!.at(0)!.start <= setting.start,
    ) ?? setting;
  return replaced(
    sql,
    settings.map((setting) => ({
      start: wrapped(setting).start,
      end: wrapped(setting).end,
      text: `current_setting('${setting.arguments[0]![0]!.text}')`,
    })),
  );
}

/** A setting that is missing or empty is none: it raises where the type allows that, and is null for a text. */
export function surviving(schema: Schema, sql: string): string {
  const strict = demanding(schema, sql);
  if (!schema.read(strict).emptyTrap) return strict;
  const settings = schema.read(sql).calls.filter(({ name }) => name === 'current_setting');
  return replaced(
    sql,
    settings.map(({ start, end, arguments: parts }) => ({
      start,
      end,
      text: `nullif(current_setting('${parts[0]![0]!.text}', true), '')`,
    })),
  );
}

/** What to decide where no SQL can be given. */
export const byHand =
  'Let it compare with the tenant once per query and raise without one, as (select tenant.id()) of the SQL kit does.';
