import {
  CompiledQuery,
  type DatabaseConnection,
  DummyDriver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryExecutor,
  Transaction,
} from 'kysely';
import type { VerifiedToken } from '../verify/verified-token.ts';
import { DatabaseUnavailableError, RolledBackError, TenantError } from './errors.ts';
import { type Adapter, runWithTenant, type TenantOptions } from './open.ts';
import { makeQueue, unqueued } from './queue.ts';
import { setLocal } from './settings.ts';

export interface KyselyTenantOptions extends TenantOptions {
  /** Whether the dialect's pool was made with `pipeline: true`: the first statement then leaves in the flight of BEGIN. */
  pipeline?: boolean;
}

/**
 * Runs `work` in one transaction of Kysely that sees and writes only the rows of the token's tenant; see `withTenant` of
 * `@tessera/rls/pg` for what it sets, joins and throws. The dialect must be PostgreSQL's. Plugins of `db` stay in force.
 *
 * Three round trips of which one is `work`'s statement; two with `pipeline`. Kysely hides its connections, so two more
 * things are its user's. Without a listener for the `error` of each (`pool.on('connect', (client) => client.on('error', …))`)
 * a lost one ends the process. And a `log` that prints statements prints the claims, which BEGIN carries.
 */
export function withTenant<DB, T>(
  db: Kysely<DB>,
  token: VerifiedToken,
  work: (tx: Transaction<DB>) => Promise<T>,
  { role, pipeline = false }: KyselyTenantOptions = {},
): Promise<T> {
  return runWithTenant(db, token, work, { role, adapter: () => kyselyAdapter(db, pipeline) });
}

function kyselyAdapter<DB>(db: Kysely<DB>, pipeline: boolean): Adapter<Transaction<DB>> {
  if (db.isTransaction || !(db.getExecutor().adapter instanceof PostgresAdapter)) {
    throw new TenantError(
      'unsupported_database',
      'withTenant needs a Kysely instance with a dialect for PostgreSQL, and no transaction of another maker',
    );
  }
  const executor = db.getExecutor();
  return {
    ask: (statement) =>
      onConnection(executor, async (connection) => {
        try {
          return (await run<Record<string, unknown>>(connection, statement)).rows;
        } catch (error) {
          throw new DatabaseUnavailableError(error);
        }
      }),
    write: setLocal,
    transact: (settings, inside, assertOpen) =>
      new Promise((resolve, reject) => {
        onConnection(executor, (connection) =>
          transactOn(executor, connection, { pipeline, settings, inside, assertOpen, resolve, reject }),
        ).catch(reject);
      }),
  };
}

// The outcome is told by `resolve` and `reject`, since the connection may have to be kept longer than its caller should wait.
async function transactOn<DB, T>(
  executor: QueryExecutor,
  connection: DatabaseConnection,
  {
    pipeline,
    settings,
    inside,
    assertOpen,
    resolve,
    reject,
  }: {
    pipeline: boolean;
    settings: string;
    inside: (tx: Transaction<DB>) => Promise<T>;
    assertOpen: () => void;
    resolve: (result: T) => void;
    reject: (error: unknown) => void;
  },
): Promise<void> {
  const queue = pipeline ? unqueued : makeQueue();
  const bound = executor.withConnectionProvider({
    async provideConnection(consumer) {
      assertOpen();
      return queue.run(() => consumer(connection));
    },
  });
  let committing = false;
  const begun = run(connection, `begin; ${settings}`);
  // Reported below, in place of the errors that it causes in the statements behind it.
  begun.catch(() => {});
  try {
    if (!pipeline) await begun;
    const result = await inside(new Transaction<DB>(propsOf(bound)));
    committing = true;
    // In a transaction that has failed COMMIT is no error, but the statement before it is.
    await queue.run(() => run(connection, 'select; commit'));
    resolve(result);
  } catch (thrown) {
    const error = await begun.then(
      () => (committing && codeOf(thrown) === failedTransaction ? new RolledBackError() : thrown),
      (failed) => failed,
    );
    const failure = await queue.run(() => rollback(connection));
    reject(failure ? new DatabaseUnavailableError(error, committing ? 'unknown' : 'no') : error);
    if (failure && isTimeout(failure)) await untilRolledBack(connection);
  }
}

const failedTransaction = '25P02';

function rollback(connection: DatabaseConnection): Promise<unknown> {
  return run(connection, 'rollback').then(
    () => undefined,
    (error) => error ?? true,
  );
}

// Given back now it would bring its transaction, tenant and all, to whoever gets it next. Kysely offers no way to close it;
// one that is lost is dropped by the pool itself.
async function untilRolledBack(connection: DatabaseConnection): Promise<void> {
  while (isTimeout(await rollback(connection)));
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

function run<Row>(connection: DatabaseConnection, statement: string) {
  return connection.executeQuery<Row>(CompiledQuery.raw(statement) as CompiledQuery<Row>);
}

async function onConnection<T>(
  executor: QueryExecutor,
  work: (connection: DatabaseConnection) => Promise<T>,
): Promise<T> {
  let connected = false;
  try {
    return await executor.provideConnection((connection) => {
      connected = true;
      return work(connection);
    });
  } catch (error) {
    throw connected ? error : new DatabaseUnavailableError(error);
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

// A Transaction asks its dialect for the introspector alone; begin, commit and connections are not its own to take.
function propsOf(executor: QueryExecutor) {
  const driver = new DummyDriver();
  const dialect = {
    createDriver: () => driver,
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db: Kysely<unknown>) => new PostgresIntrospector(db),
  };
  return { config: { dialect }, dialect, driver, executor };
}
