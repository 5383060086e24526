import type { Constraint, Index, Table } from '../catalogue/catalogue.ts';
import { list, nameOf, quoted } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';

interface Reference {
  constraint: Constraint & { references: NonNullable<Constraint['references']> };
  from: Table;
  to: Table;
}

/** Foreign keys from one tenant table to another. */
function references(schema: Schema): Reference[] {
  return schema.catalogue.constraints.flatMap((constraint) => {
    const from = schema.table(constraint.table);
    const to = constraint.references && schema.table(constraint.references.table);
    if (!from || !to || constraint.inherited) return [];
    return [{ constraint: constraint as Reference['constraint'], from, to }];
  });
}

/** A key with the tenant's own column in it reaches the tenant's rows only. */
function leavesTenantOut({ constraint, from, to }: Reference, schema: Schema): boolean {
  return (
    [from, to].every((table) => schema.tenantTables.includes(table)) &&
    !constraint.columns.includes(from.tenantColumn!)
  );
}

const cascades = ({ constraint: { references } }: Reference) =>
  [references.onDelete, references.onUpdate].some((action) => !/^(no action|restrict)$/.test(action));

const unforced = (tables: Table[], sql: string): string => {
  const forced = [...new Set(tables)].filter((table) => table.rls && table.forced);
  const each = (word: string) =>
    forced.map((table) => `alter table ${nameOf(table)} ${word} row level security;\n`).join('');
  // Rows are checked as the owner, and a policy that binds the owner hides them from the check.
  return `${each('no force')}${sql}\n${each('force')}`.trim();
};

/** The foreign key with the tenant on both sides. */
function withTenant({ constraint, from, to }: Reference): string {
  const { columns, references, definition } = constraint;
  const tail = (/\bREFERENCES .*?\)(.*)$/.exec(definition)?.[1] ?? '').replace(
    /ON DELETE SET (NULL|DEFAULT)(?! \()/,
    `ON DELETE SET $1 (${list(columns)})`,
  );
  return `alter table ${nameOf(from)} add constraint ${quoted(constraint.name)} foreign key (${list([from.tenantColumn!, ...columns])}) references ${nameOf(to)} (${list([to.tenantColumn!, ...references.columns])})${tail};`;
}

const dropped = (table: Table, { name }: Constraint) =>
  `alter table ${nameOf(table)} drop constraint ${quoted(name)};`;

/** Tenants that are told by columns of different kinds cannot be put on both sides of a key. */
function differs({ from, to }: Reference): boolean {
  const type = (table: Table) => table.columns.find(({ name }) => name === table.tenantColumn)?.type;
  return from.tenantColumn !== to.tenantColumn || type(from) !== type(to);
}

const undecided = ({ from, to }: Reference) =>
  `Decide whose the rows are: ${nameOf(from)} says its tenant by ${quoted(from.tenantColumn!)}, ${nameOf(to)} by ${quoted(to.tenantColumn!)}. Give both one column of one type for it, and put that on both sides of the foreign key.`;

function mendReference(schema: Schema, reference: Reference): string {
  if (differs(reference)) return undecided(reference);
  const { constraint, from, to } = reference;
  const wanted = [to.tenantColumn!, ...constraint.references.columns].sort().join();
  const hasKey = schema
    .keysOf(to)
    .some(({ kind, columns }) => /primary|unique/.test(kind) && [...columns].sort().join() === wanted);
  return unforced(
    [from, to],
    [
      ...(hasKey
        ? []
        : [
            `alter table ${nameOf(to)} add unique (${list([to.tenantColumn!, ...constraint.references.columns])});`,
          ]),
      dropped(from, constraint),
      withTenant(reference),
    ].join('\n'),
  );
}

/** The key with the tenant first; foreign keys that stand on it go and come back with the tenant. */
function mendKey(schema: Schema, table: Table, key: Constraint): string {
  const standing = references(schema).filter(
    ({ constraint, to }) =>
      to === table && [...constraint.references.columns].sort().join() === [...key.columns].sort().join(),
  );
  const foreign = standing.filter((reference) => !schema.tenantTables.includes(reference.from));
  if (foreign.length > 0) {
    return `Give a tenant to ${foreign.map(({ from }) => nameOf(from)).join(', ')}, which refers to this key; then put ${quoted(table.tenantColumn!)} first in the key.`;
  }
  const different = standing.find(differs);
  if (different) return undecided(different);
  const tenant = quoted(table.tenantColumn!);
  const definition = key.definition.replace(
    '(',
    key.kind === 'exclusion' ? `(${tenant} WITH =, ` : `(${tenant}, `,
  );
  return unforced(
    [table, ...standing.map(({ from }) => from)],
    [
      ...standing.map(({ constraint, from }) => dropped(from, constraint)),
      dropped(table, key),
      `alter table ${nameOf(table)} add constraint ${quoted(key.name)} ${definition};`,
      ...standing.map((reference) =>
        reference.constraint.columns.includes(reference.from.tenantColumn!)
          ? `alter table ${nameOf(reference.from)} add constraint ${quoted(reference.constraint.name)} ${reference.constraint.definition};`
          : withTenant(reference),
      ),
    ].join('\n'),
  );
}

function mendIndex(table: Table, index: Index): string {
  const definition = index.definition.replace(
    / USING (\w+) \(/,
    ` USING $1 (${quoted(table.tenantColumn!)}, `,
  );
  return `drop index ${nameOf({ schema: table.schema, name: index.name })};\n${definition};`;
}

/** A random value tells nothing to who does not have it already, and nobody can take it by a guess. */
export function isRandom(table: Table, { columns }: Constraint): boolean {
  const column = table.columns.find(({ name }) => name === columns[0]);
  return (
    columns.length === 1 &&
    column?.type === 'uuid' &&
    /^(\w+\.)?(gen_random_uuid|uuid_generate_v4|uuidv4|uuidv7)\(\)$/.test(column.default ?? '')
  );
}

const keyRisk =
  'a duplicate is an error also when another tenant has the value: one tenant learns what others have, and can take it from them';

export const keyRules: Rule[] = [
  {
    id: 'P-08/foreign-key-without-tenant',
    title: 'A foreign key leaves the tenant out',
    why: 'Foreign keys ask no policy: a row may refer to one of another tenant.',
    level: 'error',
    find: (schema) =>
      references(schema)
        .filter((reference) => leavesTenantOut(reference, schema) && !cascades(reference))
        .map((reference) => ({
          object: `constraint ${quoted(reference.constraint.name)} on ${nameOf(reference.from)}`,
          risk: `a row may refer to another tenant's row of ${nameOf(reference.to)}, and learns by that whether it exists`,
          fix: mendReference(schema, reference),
        })),
  },
  {
    id: 'P-09/cascade-without-tenant',
    title: 'A foreign key cascades to other tenants',
    why: 'Foreign keys ask no policy: deleting one’s own row changes the rows of others.',
    level: 'error',
    find: (schema) =>
      references(schema)
        .filter((reference) => leavesTenantOut(reference, schema) && cascades(reference))
        .map((reference) => ({
          object: `constraint ${quoted(reference.constraint.name)} on ${nameOf(reference.from)}`,
          risk: `a tenant that deletes its row of ${nameOf(reference.to)} deletes or changes rows of others here, and a row may refer to another tenant's`,
          fix: mendReference(schema, reference),
        })),
  },
  {
    id: 'P-10/key-without-tenant',
    title: 'A key is unique across tenants',
    why: 'A duplicate tells of a row that cannot be seen; only unguessable values keep that harmless.',
    level: 'warning',
    find: (schema) =>
      schema.tenantTables
        .filter(({ kind }) => kind !== 'foreign')
        .flatMap((table) => [
          ...schema
            .keysOf(table)
            .filter(
              ({ kind, columns, inherited }) =>
                /primary|unique|exclusion/.test(kind) && !inherited && !columns.includes(table.tenantColumn!),
            )
            .filter((key) => !isRandom(table, key) && !schema.listsTenants(table, key.columns))
            .map((key) => ({
              object: `constraint ${quoted(key.name)} on ${nameOf(table)}`,
              risk: keyRisk,
              fix: mendKey(schema, table, key),
            })),
          ...schema.catalogue.indexes
            .filter(
              (index) =>
                index.table === table.id &&
                index.unique &&
                !index.inherited &&
                index.constraint === undefined &&
                !index.columns.includes(table.tenantColumn!),
            )
            .map((index) => ({
              object: `index ${nameOf({ schema: table.schema, name: index.name })}`,
              risk: keyRisk,
              fix: mendIndex(table, index),
            })),
        ]),
  },
];
