import { UnboundRoleError } from './errors.ts';
import { textLiteral } from './settings.ts';

/** Runs one statement without parameters, outside of any transaction of ours, and gives its rows. */
export type Ask = (statement: string) => Promise<Record<string, unknown>[]>;

const checks = new WeakMap<object, Map<string, Promise<void>>>();

/**
 * Refuses, with an `UnboundRoleError`, a database whose login role (and `role`, where given) is a superuser, has BYPASSRLS,
 * owns a table with row-level security, or is a member of such a role: it can be made to read every tenant's rows.
 * Asked once for each `db` object and role; what failed is asked again by the next caller.
 */
export function refuseUnboundRole(db: object, role: string | undefined, ask: Ask): Promise<void> {
  let known = checks.get(db);
  if (!known) {
    known = new Map();
    checks.set(db, known);
  }
  const key = role ?? '';
  let check = known.get(key);
  if (!check) {
    check = checkRole(role, ask);
    known.set(key, check);
    // A server that was away is asked again, and so is a role that somebody may have mended meanwhile.
    check.catch(() => known.delete(key));
  }
  return check;
}

async function checkRole(role: string | undefined, ask: Ask): Promise<void> {
  const [found] = await ask(roleQuery(role));
  if (!found) return;
  const { name, through, reason, object } = found as Record<'name' | 'through' | 'reason' | 'object', string>;
  const [risk, fix] = explain[reason as keyof typeof explain](quote(through), object);
  const path = through === name ? 'it' : `it may become ${quote(through)}, which`;
  const mend = through === name ? fix : `revoke ${quote(through)} from ${quote(name)}, or ${fix}`;
  throw new UnboundRoleError(
    name,
    `refused to run as database role ${quote(name)}: ${path} ${risk}, so row-level security does not bind it. To mend it: ${mend}`,
  );
}

const explain = {
  superuser: (role: string) => ['is a superuser', `alter role ${role} nosuperuser`],
  bypass: (role: string) => ['has BYPASSRLS', `alter role ${role} nobypassrls`],
  owner: (role: string, table: string) => [
    `owns ${table}, a table with row-level security`,
    `alter table ${table} owner to another role, and grant ${role} what it needs`,
  ],
};

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

// The login role stays of interest when a role is set: `reset role` goes back to it at any time. The walk takes every
// membership, with or without INHERIT and SET: with ADMIN alone a role can grant itself the rest.
function roleQuery(role: string | undefined): string {
  const names = [
    'session_user::text',
    'current_user::text',
    ...(role === undefined ? [] : [textLiteral(role)]),
  ];
  return `
  select used.rolname as name, reached.rolname as through, why.reason, why.object
  from pg_roles used
  join pg_roles reached on used.oid = reached.oid or (not used.rolsuper and pg_has_role(used.oid, reached.oid, 'member'))
  cross join lateral (
    select 'superuser' as reason, null as object, 1 as rank where reached.rolsuper
    union all
    select 'bypass', null, 2 where reached.rolbypassrls
    union all
    (select 'owner', c.oid::regclass::text, 3 from pg_class c
    where c.relowner = reached.oid and c.relkind in ('r', 'p') and c.relrowsecurity
    limit 1)
  ) why
  where used.rolname in (${names.join(', ')})
  order by reached.oid <> used.oid, why.rank
  limit 1`;
}
