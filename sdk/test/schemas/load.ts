import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  runStatements,
  type TestServer,
  testServerVariable,
  withDatabase,
} from '../../../test/support/postgres.ts';

/** Roles belong to the whole server, so every database has its own: names that no other has. */
const parts = {
  runtime: 'login',
  owner: 'login',
  backup: 'login bypassrls',
  bypass: 'nologin bypassrls',
} as const;

export interface LoadedSchema {
  database: string;
  roles: Record<keyof typeof parts, string>;
  superUrl: string;
  ownerUrl: string;
  runtimeUrl: string;
  backupUrl: string;
  drop(): Promise<void>;
}

/** Makes a database with one of the schemas of this folder and the SQL kit; the test server needs a superuser. */
export function loadSchema(name: 'pitfalls' | 'corrected'): Promise<LoadedSchema> {
  return loadSql(schemaSql(name));
}

export function schemaSql(name: string): string {
  return readFileSync(new URL(`${name}.sql`, import.meta.url), 'utf8');
}

/** The same with SQL of one's own; `:runtime` and the like are the names of the roles. */
export async function loadSql(sql: string, { withKit = true } = {}): Promise<LoadedSchema> {
  const { superUrl } = JSON.parse(process.env[testServerVariable]!) as TestServer;
  const suffix = randomBytes(4).toString('hex');
  const database = `rls_${suffix}`;
  const password = randomBytes(8).toString('hex');
  const roles = Object.fromEntries(
    Object.keys(parts).map((part) => [part, `rls_${part}_${suffix}`]),
  ) as LoadedSchema['roles'];
  const login = (role: string): string => {
    const url = new URL(withDatabase(superUrl, database));
    url.username = role;
    url.password = password;
    return url.href;
  };
  const kit = readFileSync(new URL('../../sql/tenant.sql', import.meta.url), 'utf8');

  await runStatements(superUrl, [
    ...Object.entries(parts).map(
      ([part, attributes]) =>
        `create role ${roles[part as keyof typeof parts]} ${attributes} password '${password}'`,
    ),
    `create database ${database} template template0 encoding 'UTF8'`,
  ]);
  const loaded: LoadedSchema = {
    database,
    roles,
    superUrl: withDatabase(superUrl, database),
    ownerUrl: login(roles.owner),
    runtimeUrl: login(roles.runtime),
    backupUrl: login(roles.backup),
    async drop() {
      await runStatements(superUrl, [
        `drop database ${database} with (force)`,
        ...Object.values(roles).map((role) => `drop role ${role}`),
      ]);
    },
  };
  try {
    await runStatements(loaded.superUrl, [
      ...(withKit ? [kit] : []),
      sql.replace(/(?<!:):(runtime|owner|backup|bypass)\b/g, (_, part) => roles[part as keyof typeof parts]),
    ]);
  } catch (error) {
    await loaded.drop();
    throw error;
  }
  return loaded;
}
