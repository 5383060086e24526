import type pg from 'pg';
import type { SchemaOptions } from '../options.ts';
import type { Catalogue, Column, Constraint, Role, RoutineInfo, Table } from './catalogue.ts';
import * as queries from './queries.ts';

type Nullable<T> = { [K in keyof T]: undefined extends T[K] ? T[K] | null : T[K] };

type ConstraintRow = Omit<Constraint, 'references'> & {
  referencedTable: string;
  referencedColumns: string[];
  onDelete: string;
  onUpdate: string;
};

/**
 * Reads what the rules and the prover must know of the client's database. Only selects from the catalogue, so
 * any role may do it, in a read-only transaction as well; give it a repeatable read one to see one moment.
 * Left out are PostgreSQL's own schemas, the one of the SQL kit and what extensions brought (of their functions
 * those in the schemas looked at are in, and marked). Throws for a role or a schema that does not exist.
 */
export async function readCatalogue(client: pg.ClientBase, options: SchemaOptions): Promise<Catalogue> {
  const list = async <T>(query: string, values: unknown[]): Promise<T[]> =>
    (await client.query<Nullable<T> & object>(query, values)).rows.map((row) => withoutNull(row) as T);

  const [server] = await list<{ version: number; database: string; user: string }>(
    `select current_setting('server_version_num')::int as version, current_database()::text as database,
      current_user::text as user`,
    [],
  );
  const schemas = await list<{ id: string; name: string }>(queries.schemas, [options.schemas]);
  const unknown = options.schemas.filter((name) => !schemas.some((schema) => schema.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `no schema ${unknown.map((name) => `"${name}"`).join(', ')} in database "${server!.database}"; check the spelling of "schemas"`,
    );
  }
  const scope = schemas.map(({ id }) => id);

  const roles = await list<Role & { id: string }>(queries.roles, [scope]);
  const wanted = options.role ?? server!.user;
  const role = roles.find(({ name }) => name === wanted);
  if (!role) {
    throw new Error(
      `no role "${wanted}" on this server; "role" must be the role that the application logs in as`,
    );
  }

  const columns: Record<string, Column[]> = {};
  for (const { table, ...column } of await list<Column & { table: string }>(queries.columns, [scope])) {
    columns[table] ??= [];
    columns[table].push(column);
  }
  const tables = (await list<Omit<Table, 'columns' | 'tenantColumn'>>(queries.tables, [scope])).map(
    (table) => {
      const own = columns[table.id] ?? [];
      const tenantColumn = options.tenantColumns.find((name) => own.some((column) => column.name === name));
      return { ...table, columns: own, tenantColumn };
    },
  );
  const functions = await list<RoutineInfo & { examined: boolean }>(queries.functions, [scope, role.id]);
  const routines = (examined: boolean): RoutineInfo[] =>
    functions.filter((row) => row.examined === examined).map(({ examined: _, ...routine }) => routine);

  return {
    version: server!.version,
    database: server!.database,
    role: withoutId(role),
    roles: roles.map(withoutId),
    tables,
    policies: await list(queries.policies, [scope]),
    constraints: (await list<ConstraintRow>(queries.constraints, [scope])).map(withReference),
    indexes: await list(queries.indexes, [scope]),
    views: await list(queries.views, [scope]),
    functions: routines(true),
    helpers: routines(false),
    triggers: await list(queries.triggers, [scope]),
    grants: await list(queries.grants, [scope, role.id]),
    defaults: await list(queries.defaults, []),
    publications: await list(queries.publications, [scope]),
  };
}

function withoutNull(row: object): object {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? undefined]));
}

function withoutId({ id: _, ...role }: Role & { id: string }): Role {
  return role;
}

function withReference(row: ConstraintRow): Constraint {
  const { referencedTable, referencedColumns, onDelete, onUpdate, ...constraint } = row;
  if (constraint.kind !== 'foreign') return constraint;
  return {
    ...constraint,
    references: { table: referencedTable, columns: referencedColumns, onDelete, onUpdate },
  };
}
