import type pg from 'pg';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { SchemaOptions } from '../options.ts';
import { count, printable } from './style.ts';

/** What a command looked at, and as whom. */
export interface Context {
  client: Pick<pg.Client, 'host' | 'port' | 'user'>;
  catalogue: Catalogue;
  options: SchemaOptions;
}

/** One line about what a command looked at. */
export function headline(command: string, { client, catalogue, options }: Context): string {
  const { database, role, tables, version } = catalogue;
  const schemas = new Set([...options.schemas, ...tables.map(({ schema }) => schema)]);
  return printable(
    [
      `rls ${command}  ${database} on ${client.host}:${client.port}`,
      `PostgreSQL ${Math.floor(version / 10_000)}.${version % 10_000}`,
      `${count(tables.length, 'table')} in ${count(schemas.size, 'schema')}`,
      `as the role ${role.name}`,
    ].join(', '),
  );
}

/**
 * Hints for a result that may not be about what was meant: no table at all, or the role of an administrator, whom the
 * application should not log in as.
 */
export function hints({ catalogue, options, client }: Context): string[] {
  const { role, tables, database } = catalogue;
  const owns = tables.some(({ owner }) => owner === role.name);
  const isAdmin = options.role === undefined && (role.superuser || role.bypassRls || owns);
  return [
    ...(tables.length === 0
      ? [`There is no table to look at in ${database}: is it the right database?`]
      : []),
    ...(isAdmin
      ? [
          `This is about ${client.user}, the role of --url. If your application logs in as another one, name it: --role app.`,
        ]
      : []),
  ].map(printable);
}
