import type { Policy, Table } from '../catalogue/catalogue.ts';
import { altered, byHand, demanding } from './mend-policy.ts';
import { nameOf, quoted } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';

/** Roles that are there for backups, by their name and what they may read, and that policies bind all the same. */
const boundBackups = (schema: Schema) =>
  operators(schema).length > 0 || !schema.catalogue.tables.some(({ forced, rls }) => forced && rls)
    ? []
    : schema.catalogue.roles
        .filter(
          ({ name, superuser, bypassRls, readsAllTables }) =>
            /backup|dump/i.test(name) && readsAllTables && !superuser && !bypassRls,
        )
        .map(({ name }) => name);

/** Forced tables whose owner logs in and is bound by their policies, when nobody else reaches the rows of all tenants. */
function boundOwners(schema: Schema): Table[] {
  if (operators(schema).length > 0) return [];
  const logsIn = new Set(schema.catalogue.roles.filter(({ canLogin }) => canLogin).map(({ name }) => name));
  return schema.catalogue.tables
    .filter((table) => table.forced && table.rls && !schema.isShared(table))
    .filter(({ owner }) => logsIn.has(owner) && !schema.bypasses(owner));
}

/** Roles for backups and migrations: no policy binds them, they reach every table, and no application becomes them. */
const operators = ({ catalogue: { role, roles } }: Schema) =>
  roles.filter(
    ({ name, superuser, bypassRls, readsAllTables }) =>
      bypassRls &&
      readsAllTables &&
      !superuser &&
      name !== role.name &&
      (role.superuser || !role.memberOf.includes(name)),
  );

const asOperator = 'migrate data as a role with BYPASSRLS, and check the number of rows.';

/** How a data migration of the owner that sees no row is mended; none when it sees rows, or fails. */
function mendBlindness(schema: Schema, table: Table): string | undefined {
  const owner = schema.catalogue.roles.find(({ name }) => name === table.owner);
  const roles = [table.owner, ...(owner?.memberOf ?? [])];
  const seeing = schema.policiesOf(table).filter(({ using }) => using !== undefined);
  const binding = seeing.filter(
    (policy) => policy.roles.length === 0 || policy.roles.some((name) => roles.includes(name)),
  );
  const permissive = binding.filter((policy) => policy.permissive);
  if (!seeing.some((policy) => policy.permissive)) return undefined;
  if (permissive.length === 0) return `No policy is for ${quoted(table.owner)}: ${asOperator}`;
  if (binding.some(({ using }) => schema.read(using).raises)) return undefined;

  // What follows the rows of another table is as silent as that one.
  const isSilent = ({ using }: Policy) => schema.tellsApart(using, table) && schema.read(using).bound;
  const silent = binding.filter(isSilent);
  const seesRows = !permissive.every(isSilent) && silent.every((policy) => policy.permissive);
  if (seesRows) return undefined;
  const fixes = silent.map((policy) => altered({ policy, table }, (sql) => raising(schema, sql)));
  return fixes.some((fix) => fix === undefined) ? `${byHand} Or ${asOperator}` : fixes.join('\n');
}

/** The same, unless it cannot be made to raise: a text takes every value. */
function raising(schema: Schema, sql: string): string {
  const strict = demanding(schema, sql);
  return schema.read(strict).raises ? strict : sql;
}

export const ownerRules: Rule[] = [
  {
    id: 'P-03/silent-migration',
    title: 'Without a tenant the owner sees nothing, silently',
    why: 'A data migration of the owner changes no row and reports success.',
    level: 'warning',
    find: (schema) =>
      boundOwners(schema)
        .filter(({ kind }) => kind !== 'partition')
        .flatMap((table) => {
          const fix = mendBlindness(schema, table);
          return fix === undefined
            ? []
            : [
                {
                  object: nameOf(table),
                  risk: `a migration that runs as its owner ${quoted(table.owner)} without a tenant changes no row and says nothing`,
                  fix,
                },
              ];
        }),
  },
  {
    id: 'P-04/no-backup-role',
    title: 'No role can make a whole backup',
    why: 'pg_dump as an owner whom policies bind is refused, or leaves rows out where it is told to go on.',
    level: 'note',
    find: (schema) => {
      const owners = [
        ...new Set([...boundOwners(schema).map(({ owner }) => owner), ...boundBackups(schema)]),
      ];
      return owners.length === 0
        ? []
        : [
            {
              object: 'database',
              risk: `nobody but a superuser can back up all tenants: pg_dump as ${owners.map(quoted).join(', ')} is refused, or leaves rows out`,
              fix: 'create role backup login bypassrls;\ngrant pg_read_all_data to backup;',
            },
          ];
    },
  },
];
