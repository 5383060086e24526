import type {
  Catalogue,
  Constraint,
  Policy,
  Role,
  RoutineInfo,
  Table,
  View,
} from '../catalogue/catalogue.ts';
import type { SchemaOptions } from '../options.ts';
import { makeReader, type Reading } from './reading.ts';
import { alternatives } from './tokens.ts';

/** A catalogue with the questions that the rules ask of it. */
export interface Schema {
  catalogue: Catalogue;
  options: SchemaOptions;
  /** Tables with a tenant in each row; those that the options call shared are none. */
  tenantTables: Table[];
  table(id: string): Table | undefined;
  isShared(table: Table): boolean;
  policiesOf(table: Table): Policy[];
  /** Those of them that bind the runtime role. */
  policiesFor(table: Table): Policy[];
  keysOf(table: Table): Constraint[];
  /** Whether the runtime role has one of the privileges on all or a part of it. */
  may(id: string, ...privileges: string[]): boolean;
  /** Whether policies stop neither the role nor what runs with its rights. */
  bypasses(role: string): boolean;
  /** Whether the table's rows are a tenant's, or guarded by policies. */
  isGuarded(id: string): boolean;
  reads(view: View): string[];
  read(sql: string | undefined, returns?: string): Reading;
  /** Whether it asks for the caller and for something of the row, so that it can tell rows apart. */
  tellsApart(sql: string | undefined, table: Table): boolean;
  /** Whether it is the key by which other tables name their tenant, so that each row is a tenant. */
  listsTenants(table: Table, columns: string[]): boolean;
  /** Whether a policy calls it, itself or by another function. */
  isPolicyHelper(routine: RoutineInfo): boolean;
  /** Whether a restrictive policy keeps the command within the tenant, for each role that the policy is for. */
  isBounded(policy: Policy, table: Table, command: Policy['command'], side: 'using' | 'check'): boolean;
  /** What the tenant column is compared with, once per query, as SQL. */
  tenantValue(table: Table): string;
  hasKit: boolean;
}

/** Prepares the questions; reads nothing but its arguments. */
export function makeSchema(catalogue: Catalogue, options: SchemaOptions): Schema {
  const tables = new Map(catalogue.tables.map((table) => [table.id, table]));
  const byName = new Map(catalogue.tables.map((table) => [table.name, table]));
  const views = new Map(catalogue.views.map((view) => [view.id, view]));
  const roles = new Map(catalogue.roles.map((role) => [role.name, role]));
  const routines: RoutineInfo[] = [...catalogue.functions, ...catalogue.helpers];
  const reader = makeReader(routines, options);
  const readings = new Map<string, Reading>();
  const hasKit = routines.some(({ schema, name }) => schema === 'tenant' && name === 'id');
  const rights = new Map<string, Set<string>>();
  for (const { kind, id, privilege } of catalogue.grants) {
    if (kind !== 'table' && kind !== 'column') continue;
    rights.set(id, (rights.get(id) ?? new Set()).add(privilege));
  }
  const unbound: Pick<Role, 'superuser' | 'bypassRls' | 'name' | 'memberOf'> = catalogue.role;

  const isIn = (name: string, names: string[]) =>
    names.includes(name) || roles.get(name)?.memberOf.some((of) => names.includes(of));
  // As another role that it may become, the runtime role could leave a policy for one role behind.
  const covers = (restrictive: Policy, permissive: Policy) =>
    restrictive.roles.length === 0 ||
    (permissive.roles.length > 0
      ? permissive.roles
      : [unbound.name, ...unbound.memberOf.filter((name) => !name.startsWith('pg_'))]
    ).every((name) => isIn(name, restrictive.roles));

  const schema: Schema = {
    catalogue,
    options,
    hasKit,
    tenantTables: [],
    table: (id) => tables.get(id),
    isShared: (table) => `${table.schema}.${table.name}` in options.shared,
    policiesOf: (table) => catalogue.policies.filter((policy) => policy.table === table.id),
    policiesFor: (table) =>
      schema
        .policiesOf(table)
        .filter(
          (policy) =>
            unbound.superuser ||
            unbound.bypassRls ||
            policy.roles.length === 0 ||
            policy.roles.some((name) => name === unbound.name || unbound.memberOf.includes(name)),
        ),
    keysOf: (table) => catalogue.constraints.filter((constraint) => constraint.table === table.id),
    may: (id, ...privileges) => privileges.some((privilege) => rights.get(id)?.has(privilege)),
    bypasses: (role) => Boolean(roles.get(role)?.superuser || roles.get(role)?.bypassRls),
    isGuarded: (id) => {
      const table = tables.get(id);
      if (!table || schema.isShared(table)) return false;
      return table.tenantColumn !== undefined || table.rls;
    },
    reads: (view) => [
      ...new Set(view.reads.flatMap((id) => (views.has(id) ? schema.reads(views.get(id)!) : [id]))),
    ],
    read: (sql = '', returns = '') => {
      const key = `${returns}\n${sql}`;
      const reading = readings.get(key) ?? reader(sql, returns);
      readings.set(key, reading);
      return reading;
    },
    tellsApart: (sql, table) => {
      const branches = alternatives(sql ?? '');
      if (branches.length > 1) return branches.every((branch) => schema.tellsApart(branch, table));
      const { all, bound } = schema.read(sql);
      const columns = new Set(table.columns.map(({ name }) => name));
      if (!all.some(({ kind, text }) => (kind === 'word' || kind === 'quoted') && columns.has(text))) {
        return false;
      }
      // A row may be seen for a row of another table that is seen: then that table's policies decide.
      return (
        bound ||
        all.some(
          ({ text }, index) =>
            (text === 'from' || text === 'join') &&
            all
              .slice(index + 1, index + 5)
              .some((token) => token.text !== table.name && byName.get(token.text)?.rls),
        )
      );
    },
    listsTenants: (table, columns) =>
      catalogue.constraints.some(
        ({ columns: from, references, table: id }) =>
          references?.table === table.id &&
          from.length === 1 &&
          from[0] === tables.get(id)?.tenantColumn &&
          references.columns.join() === columns.join(),
      ),
    isPolicyHelper: ({ schema: home, name }) =>
      catalogue.policies.some(({ using, check }) =>
        [using, check].some((side) =>
          schema.read(side).reached.some((call) => call.name === name && (call.schema ?? home) === home),
        ),
      ),
    isBounded: (policy, table, command, side) =>
      schema
        .policiesFor(table)
        .some(
          (other) =>
            !other.permissive &&
            (other.command === 'all' || other.command === command) &&
            covers(other, policy) &&
            schema.tellsApart(side === 'check' ? (other.check ?? other.using) : other.using, table),
        ),
    tenantValue: (table) => {
      const type = table.columns.find(({ name }) => name === table.tenantColumn)?.type ?? 'uuid';
      const text = /^(text|character varying)/.test(type);
      if (hasKit && (text || type === 'uuid')) return `(select tenant.id()${text ? '::text' : ''})`;
      const ownClaims =
        catalogue.policies.some(({ using }) => schema.read(using).claims) || options.settings.length === 0;
      // Without a type that refuses it, the empty text would be a tenant.
      if (text && !ownClaims) return `(select nullif(current_setting('${options.settings[0]}', true), ''))`;
      return ownClaims
        ? `(select (current_setting('request.jwt.claims')::json ->> '${options.claims[0] ?? 'tenant_id'}')::${type})`
        : `(select current_setting('${options.settings[0]}')::${type})`;
    },
  };
  schema.tenantTables = catalogue.tables.filter(
    (table) => table.tenantColumn !== undefined && !schema.isShared(table),
  );
  return schema;
}
