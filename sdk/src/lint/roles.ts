import { nameOf, quoted } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';

const serverFiles = ['pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'];
const everyTable = ['pg_read_all_data', 'pg_write_all_data', 'pg_maintain'];
const statistics = ['pg_read_all_stats', 'pg_monitor'];

const runtime = ({ catalogue }: Schema) => `role ${quoted(catalogue.role.name)}`;

/** A finding for each role of the list that the runtime role may become. */
const memberships =
  (names: (schema: Schema) => string[], risk: (name: string) => string): Rule['find'] =>
  (schema) =>
    schema.catalogue.role.superuser
      ? []
      : names(schema)
          .filter((name) => schema.catalogue.role.memberOf.includes(name))
          .map((name) => ({
            object: runtime(schema),
            risk: risk(name),
            fix: `revoke ${quoted(name)} from ${quoted(schema.catalogue.role.name)};`,
          }));

const attribute =
  (has: (role: Schema['catalogue']['role']) => boolean, risk: string, mend: string): Rule['find'] =>
  (schema) =>
    has(schema.catalogue.role)
      ? [
          {
            object: runtime(schema),
            risk,
            fix: `alter role ${quoted(schema.catalogue.role.name)} ${mend};`,
          },
        ]
      : [];

export const roleRules: Rule[] = [
  {
    id: 'P-01/superuser',
    title: 'The runtime role is a superuser',
    why: 'No policy binds a superuser, forced or not.',
    level: 'error',
    find: attribute(
      ({ superuser }) => superuser,
      'no policy binds a superuser: every query sees all tenants (is this the role that the application logs in as? name it with "role")',
      'nosuperuser nobypassrls',
    ),
  },
  {
    id: 'P-01/bypass-rls',
    title: 'The runtime role has BYPASSRLS',
    why: 'No policy binds such a role, forced or not.',
    level: 'error',
    find: attribute(
      ({ superuser, bypassRls }) => bypassRls && !superuser,
      'no policy binds this role: every query sees all tenants',
      'nobypassrls',
    ),
  },
  {
    id: 'P-01/create-role',
    title: 'The runtime role may make roles',
    why: 'It may take the rights of roles that it has made or administers.',
    level: 'warning',
    find: attribute(
      ({ superuser, createRole }) => createRole && !superuser,
      'who injects SQL may make roles and give itself what they may do',
      'nocreaterole',
    ),
  },
  {
    id: 'P-01/may-become',
    title: 'The runtime role may become one that bypasses policies',
    why: '`set role` is all it takes to be free of every policy.',
    level: 'error',
    find: memberships(
      ({ catalogue }) =>
        catalogue.roles
          .filter(({ superuser, bypassRls, createRole }) => superuser || bypassRls || createRole)
          .map(({ name }) => name),
      (name) => `"set role ${quoted(name)}" is all it takes to leave the policies behind`,
    ),
  },
  {
    id: 'P-01/all-tables',
    title: 'The runtime role has rights on every table',
    why: 'A table that is added later is open before anybody has decided whose rows it holds.',
    level: 'warning',
    find: memberships(
      () => everyTable,
      (name) => `${name} opens every table, also those that are added later and have no policy yet`,
    ),
  },
  {
    id: 'P-01/owns-table',
    title: 'The runtime role owns a table',
    why: 'An owner switches policies off, and may drop the table.',
    level: 'error',
    find: (schema) => {
      const { role, tables } = schema.catalogue;
      if (role.superuser) return [];
      const other = tables.map(({ owner }) => owner).find((owner) => !owns(schema, owner));
      return tables
        .filter((table) => schema.isGuarded(table.id) && owns(schema, table.owner))
        .map((table) => ({
          object: nameOf(table),
          risk: `${runtime(schema)} has the owner's rights: it may switch the policies off, truncate the table and drop it`,
          fix:
            table.owner !== role.name
              ? `revoke ${quoted(table.owner)} from ${quoted(role.name)};`
              : other
                ? `alter table ${nameOf(table)} owner to ${quoted(other)};`
                : 'Let migrations run as a role of their own that owns the tables, and give the runtime role rights on rows only.',
        }));
    },
  },
  {
    id: 'P-01/may-create',
    title: 'The runtime role may create things in a schema',
    why: 'What it creates it owns, and a name of its own can hide one of yours.',
    level: 'warning',
    find: ({ catalogue }) =>
      catalogue.grants
        // Who may become the owner of tables is told of that, and the owner has to create them.
        .map((grant) => ({
          ...grant,
          through: grant.through.filter(
            (name) => name === catalogue.role.name || !catalogue.tables.some(({ owner }) => owner === name),
          ),
        }))
        .filter(
          ({ kind, privilege, through }) =>
            kind === 'schema' && privilege === 'create' && through.length > 0 && !catalogue.role.superuser,
        )
        .map(({ object, through }) => ({
          object: `schema ${quoted(object)}`,
          risk: 'a table or function that the runtime role makes here is no policy’s affair, and can hide one of yours',
          fix: through
            .map(
              (name) =>
                `revoke create on schema ${quoted(object)} from ${name === 'public' ? name : quoted(name)};`,
            )
            .join('\n'),
        })),
  },
  {
    id: 'P-07/default-tenant',
    title: 'A role or the database sets a tenant for every connection',
    why: 'Whoever forgets to set the tenant works as this one, without an error.',
    level: 'error',
    find: ({ catalogue, options }) =>
      catalogue.defaults
        .filter(({ name }) => [...options.settings, 'request.jwt.claims'].includes(name))
        // Roles belong to the whole server: those of other databases are no matter here.
        .filter(({ role }) =>
          ['', catalogue.role.name, ...catalogue.tables.map(({ owner }) => owner)].includes(role),
        )
        .map(({ role, database, name }) => ({
          object: role ? `role ${quoted(role)}` : 'database',
          risk: `every connection starts with ${name} set: a query that forgot its tenant gets this one's rows`,
          fix: role
            ? `alter role ${quoted(role)}${database ? ` in database ${quoted(database)}` : ''} reset ${name};`
            : `alter database ${quoted(database)} reset ${name};`,
        })),
  },
  {
    id: 'P-15/server-files',
    title: 'The runtime role may read or write files of the server',
    why: 'COPY of a file, and programs it starts, are beyond every policy.',
    level: 'error',
    find: memberships(
      () => serverFiles,
      (name) => `${name} lets COPY reach files or programs of the server, the rows of all tenants among them`,
    ),
  },
  {
    id: 'P-19/statistics-role',
    title: 'The runtime role reads all statistics',
    why: 'Statistics hold frequent values of all tenants and the queries that others run.',
    level: 'warning',
    find: memberships(
      () => statistics,
      (name) => `${name} shows the queries of all connections, with the values that stand in them`,
    ),
  },
  {
    id: 'P-23/replication-role',
    title: 'The runtime role may replicate',
    why: 'A replica gets every row, and asks no policy.',
    level: 'error',
    find: attribute(
      ({ replication, superuser }) => replication && !superuser,
      'a replication connection of this role streams the rows of all tenants',
      'noreplication',
    ),
  },
];

function owns({ catalogue: { role } }: Schema, owner: string): boolean {
  return owner === role.name || role.memberOf.includes(owner);
}
