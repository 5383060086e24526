import type { Table } from '../catalogue/catalogue.ts';
import { nameOf, quoted } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';

const rowRights = ['select', 'insert', 'update', 'delete'];

/** A partition that nobody may name is reached through its parent, whose policies count. */
const isReached = (schema: Schema, table: Table) => schema.may(table.id, ...rowRights);

const enable = (table: Table) =>
  `alter table ${nameOf(table)} enable row level security;\nalter table ${nameOf(table)} force row level security;`;

/** The policy that the table lacks. */
export function isolation(schema: Schema, table: Table): string {
  const same = `${quoted(table.tenantColumn!)} = ${schema.tenantValue(table)}`;
  return `create policy tenant_isolation on ${nameOf(table)} using (${same}) with check (${same});`;
}

export const tableRules: Rule[] = [
  {
    id: 'P-02/no-rls',
    title: 'A tenant table has no row-level security',
    why: 'Every query sees the rows of all tenants.',
    level: 'error',
    find: (schema) =>
      schema.tenantTables
        .filter(({ rls, kind }) => !rls && (kind === 'table' || kind === 'partitioned'))
        .filter((table) => schema.policiesOf(table).length === 0)
        .map((table) => ({
          object: nameOf(table),
          risk: openRisk(schema, table),
          fix: `${enable(table)}\n${isolation(schema, table)}`,
        })),
  },
  {
    id: 'P-02/open-partition',
    title: 'A partition can be read past its parent’s policies',
    why: 'A query that names the partition asks the policies of the partition alone.',
    level: 'error',
    find: (schema) =>
      schema.tenantTables
        .filter((table) => table.kind === 'partition' && !table.rls && isReached(schema, table))
        .map((table) => ({
          object: nameOf(table),
          risk: 'the policies of its parent do not count for a query that names the partition: it sees all tenants',
          fix: `${enable(table)}${schema.policiesOf(table).length === 0 ? `\n${isolation(schema, table)}` : ''}`,
        })),
  },
  {
    id: 'P-02/foreign-table',
    title: 'A tenant’s rows are in a foreign table',
    why: 'Foreign tables know no policies.',
    level: 'error',
    find: (schema) =>
      schema.tenantTables
        .filter((table) => table.kind === 'foreign' && isReached(schema, table))
        .map((table) => ({
          object: nameOf(table),
          risk: 'a foreign table knows no policies: every query sees the rows of all tenants',
          fix: `revoke all on ${nameOf(table)} from public, ${quoted(schema.catalogue.role.name)};`,
        })),
  },
  {
    id: 'P-02/unforced-rls',
    title: 'Row-level security does not bind the owner',
    why: 'What runs as the owner, jobs and definer functions among it, sees all tenants.',
    level: 'warning',
    find: (schema) =>
      schema.catalogue.tables
        .filter((table) => table.rls && !table.forced && schema.isGuarded(table.id))
        .map((table) => ({
          object: nameOf(table),
          risk: `what runs as its owner ${quoted(table.owner)} sees the rows of all tenants`,
          fix: `alter table ${nameOf(table)} force row level security;`,
        })),
  },
  {
    id: 'P-20/counting-ids',
    title: 'A key counts the rows of all tenants',
    why: 'A sequence is beyond policies: its numbers tell how much others do, and can be guessed.',
    level: 'note',
    find: (schema) =>
      schema.tenantTables
        .filter(({ kind }) => kind !== 'partition')
        .flatMap((table) =>
          table.columns
            .filter((column) => column.identity || /^nextval\(/.test(column.default ?? ''))
            .filter((column) =>
              schema
                .keysOf(table)
                .some(
                  ({ kind, columns }) =>
                    (kind === 'primary' || kind === 'unique') && columns.includes(column.name),
                ),
            )
            .map((column) => ({
              object: `${nameOf(table)}.${quoted(column.name)}`,
              risk: 'the numbers count all tenants: one tenant reads from its own how much the others add, and can guess theirs',
              fix: `Show another key outside: alter table ${nameOf(table)} add column public_id uuid not null default gen_random_uuid(); and keep ${quoted(column.name)} inside.`,
            })),
        ),
  },
  {
    id: 'P-22/undecided-table',
    title: 'Nobody has decided whose rows a table holds',
    why: 'A table without a tenant and without policies is everybody’s.',
    level: 'error',
    find: (schema) =>
      schema.catalogue.tables
        .filter(
          (table) =>
            table.tenantColumn === undefined &&
            table.kind !== 'partition' &&
            !schema.isShared(table) &&
            reach(schema, table).length > 0 &&
            !isDecided(schema, table),
        )
        .map((table) => ({
          object: nameOf(table),
          risk: `it says no tenant and no policy asks for one: every tenant may ${reach(schema, table).join(', ')} rows of all`,
          fix:
            schema.hasKit && table.kind !== 'foreign'
              ? `select tenant.protect('${nameOf(table).replaceAll("'", "''")}');`
              : `Add a tenant column with a policy, or name the table under "shared" with the reason why its rows are everybody's.`,
        })),
  },
  {
    id: 'P-22/nullable-tenant',
    title: 'A row may have no tenant',
    why: 'Such a row is lost to its tenant, and a careless policy shows it to all.',
    level: 'warning',
    find: (schema) =>
      schema.tenantTables
        .filter(
          (table) =>
            table.kind !== 'partition' &&
            table.columns.some(({ name, notNull }) => name === table.tenantColumn && !notNull),
        )
        .map((table) => ({
          object: `${nameOf(table)}.${quoted(table.tenantColumn!)}`,
          risk: 'a row without a tenant is seen by none, or by all where a policy lets nulls pass',
          fix: `alter table ${nameOf(table)} alter column ${quoted(table.tenantColumn!)} set not null;`,
        })),
  },
  {
    id: 'P-22/shared-writable',
    title: 'One tenant may change what all read',
    why: 'What is shared is read by every tenant, so only operators should write it.',
    level: 'warning',
    find: (schema) =>
      schema.catalogue.tables
        .filter(
          (table) =>
            schema.isShared(table) && !table.rls && schema.may(table.id, 'insert', 'update', 'delete'),
        )
        .map((table) => ({
          object: nameOf(table),
          risk: 'its rows are shared, and the runtime role may change them for all tenants',
          fix: `revoke insert, update, delete on ${nameOf(table)} from public, ${quoted(schema.catalogue.role.name)};`,
        })),
  },
  {
    id: 'P-22/stale-decision',
    title: 'A decision is about a table that is not there',
    why: 'A table that gets the name later would be shared unasked.',
    level: 'note',
    find: ({ catalogue, options }) =>
      Object.keys(options.shared)
        .filter((shared) => !catalogue.tables.some(({ schema, name }) => `${schema}.${name}` === shared))
        .map((shared) => ({
          object: shared,
          risk: 'a table that gets this name later would be shared without a decision',
          fix: 'Take it out of "shared".',
        })),
  },
  {
    id: 'P-24/no-leading-index',
    title: 'No index starts with the tenant',
    why: 'Every query of a tenant reads the rows of all of them, which is slow and tells by its time.',
    level: 'note',
    find: (schema) =>
      schema.tenantTables
        .filter(({ kind }) => kind === 'table' || kind === 'partitioned')
        .filter(
          (table) =>
            !schema.catalogue.indexes.some(
              (index) =>
                index.table === table.id &&
                index.valid &&
                index.where === undefined &&
                index.columns[0] === table.tenantColumn,
            ),
        )
        .map((table) => ({
          object: nameOf(table),
          risk: 'every query of a tenant goes through the rows of all tenants',
          fix: `create index on ${nameOf(table)} (${quoted(table.tenantColumn!)});`,
        })),
  },
];

/** What any tenant may do with the rows of all, by rights and by policies that ask for no tenant. */
function reach(schema: Schema, table: Table): string[] {
  const deeds = {
    select: 'read',
    insert: 'add',
    update: 'change',
    delete: 'delete',
  };
  const passes = (command: keyof typeof deeds) =>
    !table.rls ||
    schema
      .policiesFor(table)
      .some(
        (policy) =>
          policy.permissive &&
          (policy.command === 'all' || policy.command === command) &&
          (command === 'insert' ? (policy.check ?? policy.using) : policy.using) !== undefined,
      );
  return (Object.keys(deeds) as (keyof typeof deeds)[])
    .filter((command) => schema.may(table.id, command) && passes(command))
    .map((command) => deeds[command]);
}

function openRisk(schema: Schema, table: Table): string {
  const sees = schema.may(table.id, 'select');
  const changes = schema.may(table.id, 'insert', 'update', 'delete');
  if (!sees && !changes) {
    return 'the runtime role has no right on it: the first that somebody grants opens the rows of all tenants';
  }
  const deeds = [...(sees ? ['sees'] : []), ...(changes ? ['changes'] : [])].join(' and ');
  return `every query ${deeds} the rows of all tenants`;
}

/** Policies can guard a table without a tenant column, by the row that its rows belong to. */
function isDecided(schema: Schema, table: Table): boolean {
  const policies = schema.policiesFor(table);
  if (!table.rls) return false;
  return (
    policies.length === 0 || policies.some(({ using, check }) => schema.tellsApart(using ?? check, table))
  );
}
