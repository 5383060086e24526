import { createHash } from 'node:crypto';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import type pg from 'pg';

const preparedNames = new Map<string, string>();
const maxPreparedNames = 200;

/** A stable name for a statement, so that the server parses and plans it once per connection; undefined past 200 texts. */
function preparedName(text: string): string | undefined {
  let name = preparedNames.get(text);
  if (name === undefined && preparedNames.size < maxPreparedNames) {
    name = createHash('sha256').update(text).digest('base64url').slice(0, 24);
    preparedNames.set(text, name);
  }
  return name;
}

export interface Statement {
  text: string;
  values?: readonly unknown[];
}

/**
 * Runs one statement on the connection, prepared by name where `prepared` allows. Statements leave in order without waiting.
 * One that takes longer than `query_timeout` (milliseconds; default: that of the pool) fails and breaks the connection.
 */
export function runStatement<Row extends pg.QueryResultRow>(
  client: Pick<pg.ClientBase, 'query'>,
  { text, values = [] }: Statement,
  prepared: boolean,
  query_timeout?: number,
): Promise<pg.QueryResult<Row>> {
  const name = prepared ? preparedName(text) : undefined;
  return client.query<Row>({
    text,
    values: values as unknown[],
    ...(name === undefined ? {} : { name }),
    ...(query_timeout === undefined ? {} : { query_timeout }),
  });
}

/** A Kysely instance whose statements all go through `run`, over one connection; it opens no transaction of its own. */
export function bindKysely<Schema>(
  run: (statement: Statement) => Promise<pg.QueryResult<pg.QueryResultRow>>,
): Kysely<Schema> {
  const connection: DatabaseConnection = {
    async executeQuery<Row>(query: CompiledQuery) {
      const result = await run({ text: query.sql, values: query.parameters });
      return {
        rows: result.rows as Row[],
        ...(result.rowCount === null ? {} : { numAffectedRows: BigInt(result.rowCount) }),
      };
    },
    // biome-ignore lint/correctness/useYield: streaming is refused, a request reads bounded pages
    async *streamQuery() {
      throw new Error('streaming is not supported inside a tenant transaction');
    },
  };
  const refuse = async () => {
    throw new Error('a tenant transaction is opened by withTenant only');
  };
  const dialect: Dialect = {
    createAdapter: () => new PostgresAdapter(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      beginTransaction: refuse,
      commitTransaction: refuse,
      rollbackTransaction: refuse,
      releaseConnection: async () => {},
      destroy: async () => {},
    }),
  };
  return new Kysely<Schema>({ dialect });
}
