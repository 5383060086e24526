import type { Policy, RoutineInfo } from '../catalogue/catalogue.ts';

const plain = /^[a-z_][a-z0-9_$]*$/;

/** Words that PostgreSQL takes for a name in quotes only, of those that people give to tables and columns. */
const reserved = new Set(
  `all analyse analyze and any array as asc authorization both case cast check collate column constraint create
  cross current_date current_role current_time current_user default deferrable desc distinct do else end except
  false fetch for foreign freeze from full grant group having in inner intersect into is join lateral leading left
  like limit natural not null offset on only or order outer overlaps placing primary references returning right
  select session_user some symmetric table then to trailing true union unique user using variadic verbose when
  where window with`.split(/\s+/),
);

/** A name as SQL takes it: in quotes where it needs them. */
export function quoted(name: string): string {
  return plain.test(name) && !reserved.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** `schema.name` of a table, a view or anything else that lives in a schema. */
export function nameOf({ schema, name }: { schema: string; name: string }): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** `schema.name(arguments)`, as `alter routine` takes it. */
export function signature(routine: RoutineInfo): string {
  return `${nameOf(routine)}(${routine.arguments})`;
}

export function policyOn(policy: Policy, table: { schema: string; name: string }): string {
  return `policy ${quoted(policy.name)} on ${nameOf(table)}`;
}

/** Names in a row: `a, b`. */
export function list(names: string[]): string {
  return names.map(quoted).join(', ');
}

/** A grantee as `revoke … from` takes it. */
export function grantee(name: string): string {
  return name === 'public' ? name : quoted(name);
}
