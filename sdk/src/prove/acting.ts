import type { Session } from './session.ts';
import { ident, literal } from './sql.ts';

/**
 * Roles that the runtime role becomes rather than has the rights of: a login that inherits nothing, as PostgREST
 * has it, works as these only. Those that policies do not bind are another matter, and are not among them.
 */
export async function actingRoles({ catalogue, run }: Session): Promise<string[]> {
  const { role, roles } = catalogue;
  const bound = roles
    .filter(({ name, superuser, bypassRls }) => role.memberOf.includes(name) && !superuser && !bypassRls)
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('pg_'));
  if (role.superuser || bound.length === 0) return [];
  const { rows } = await run(
    `select r.name from unnest(array[${bound.map(literal).join(', ')}]::name[]) r (name)
    where not pg_has_role(${literal(role.name)}, r.name, 'usage') order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** Makes the session act as a role that the runtime role becomes; gives what takes it back. */
export function become(session: Session, role: string): () => void {
  const before = session.become;
  session.become = [...before, `set local role ${ident(role)}`];
  session.acting = role;
  return () => {
    session.become = before;
    session.acting = session.catalogue.role.name;
  };
}
