import { randomUUID } from 'node:crypto';
import pg from 'pg';

/** Where globalSetup left the test server; connection strings without a database name. */
export type TestServer = {
  superUrl: string;
  ownerUrl: string;
  runtimeUrl: string;
  template: string;
};

export type TestDatabase = {
  name: string;
  /** As the application connects. */
  runtimeUrl: string;
  /** As migrations connect: owner of the database and no superuser. */
  ownerUrl: string;
  superUrl: string;
  drop(): Promise<void>;
};

export const testServerVariable = 'TESSERA_TEST_SERVER';

/** The lock of everybody who copies the template: two copies at once can fail. */
const cloneLock = 7_215_003;

/** Gives a database of its own to a test file: a copy of the migrated template, of about 50 ms. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = testServer();
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const owner = new URL(server.ownerUrl).username;
  await runStatements(server.superUrl, [
    `select pg_advisory_lock(${cloneLock})`,
    `create database ${name} template ${server.template} strategy file_copy owner ${owner}`,
  ]);
  return {
    name,
    runtimeUrl: withDatabase(server.runtimeUrl, name),
    ownerUrl: withDatabase(server.ownerUrl, name),
    superUrl: withDatabase(server.superUrl, name),
    async drop() {
      await runStatements(server.superUrl, [`drop database ${name} with (force)`]);
    },
  };
}

/** The same server and user, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** Runs statements one by one over one connection and gives the rows of the last. */
export async function runStatements(url: string, statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

function testServer(): TestServer {
  const text = process.env[testServerVariable];
  if (!text) throw new Error('no test server: run tests through jest with the configuration of this project');
  return JSON.parse(text);
}
