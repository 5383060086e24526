import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Config } from '#src/config.ts';
import type { OpenedDatabase } from '#src/database/open.ts';
import { describeError } from './describe-error.ts';
import type { Finding } from './doctor.ts';

const patienceMs = 3_000;

/** What stands between us and PostgreSQL. */
export interface Pooling {
  mode: 'direct' | 'session' | 'transaction' | 'statement';
  /** Whether a statement that was prepared by name can be run in a later transaction. */
  prepared: boolean;
}

/** Whether DATABASE_URL says of its pooler what is true; nothing to check with the embedded database. */
export async function checkPooler(
  { runtimeUrl }: Pick<OpenedDatabase, 'runtimeUrl'>,
  { config }: { config: Pick<Config, 'database'> },
): Promise<Finding | undefined> {
  if (config.database.mode === 'embedded') {
    return undefined;
  }
  try {
    return judgePooling(await detectPooling(runtimeUrl), config.database.pgbouncer);
  } catch (error) {
    return { status: 'warn', message: `not checked (${describeError(error)})`, variable: 'DATABASE_URL' };
  }
}

/** What to make of a pooler, given whether DATABASE_URL says `?pgbouncer=true`. */
export function judgePooling({ mode, prepared }: Pooling, pgbouncer: boolean): Finding {
  const variable = 'DATABASE_URL';
  switch (mode) {
    case 'statement':
      return {
        status: 'fail',
        message: 'the pool is in statement mode, which knows no transactions: set pool_mode=transaction',
        variable,
      };
    case 'transaction':
      return prepared || pgbouncer
        ? { status: 'ok', message: 'a pool in transaction mode' }
        : {
            status: 'fail',
            message: 'a pool in transaction mode that forgets prepared statements: add ?pgbouncer=true',
            variable,
          };
    case 'session':
      return {
        status: 'warn',
        message: 'the pool is in session mode, where connections are not shared: set pool_mode=transaction',
        variable,
      };
    default:
      return pgbouncer
        ? {
            status: 'warn',
            message: 'no pooler was found, and statements are not prepared: remove ?pgbouncer=true',
            variable,
          }
        : { status: 'ok', message: 'none, connections go to PostgreSQL' };
  }
}

/**
 * Finds out how connections to this URL are pooled: one client keeps a transaction open, so that a pool in transaction mode
 * must give the other a second server connection, which knows neither its settings nor its prepared statements.
 */
export async function detectPooling(url: string): Promise<Pooling> {
  const target = new URL(url);
  target.searchParams.delete('pgbouncer');
  const options = {
    connectionString: target.href,
    connectionTimeoutMillis: patienceMs,
    query_timeout: patienceMs,
  };
  const [client, blocker] = [new pg.Client(options), new pg.Client(options)];
  for (const one of [client, blocker]) {
    one.on('error', () => {});
  }
  try {
    await client.connect();
    await blocker.connect();
    return await observe(client, blocker);
  } finally {
    await Promise.all([client.end(), blocker.end()].map((ended) => ended.catch(() => {})));
  }
}

async function observe(client: pg.Client, blocker: pg.Client): Promise<Pooling> {
  const mark = randomBytes(8).toString('hex');
  const named = { name: `tessera_${mark}`, text: 'select 1' };
  try {
    await client.query('begin');
  } catch {
    return { mode: 'statement', prepared: false };
  }
  const first = await readBackend(client);
  await client.query(named);
  await client.query("select set_config('app.doctor', $1, false)", [mark]);
  await client.query('commit');

  await blocker.query('begin');
  await blocker.query('select 1');
  const second = await readSecond(client);
  if (second === undefined) {
    return { mode: 'transaction', prepared: false };
  }
  const prepared = await client.query(named).then(
    () => true,
    () => false,
  );
  if (second.pid !== first.pid || second.mark !== mark) {
    return { mode: 'transaction', prepared };
  }
  // A pooler answers with a process id of its own making when a client connects.
  const announced = (client as pg.Client & { processID: number | null }).processID;
  return { mode: announced === first.pid ? 'direct' : 'session', prepared };
}

/** Undefined when the only server connection is held by the other client: no more came, and it was asked to wait. */
async function readSecond(client: pg.Client): Promise<Backend | undefined> {
  try {
    await client.query('begin');
    return await readBackend(client);
  } catch {
    return undefined;
  }
}

interface Backend {
  pid: number;
  mark: string | null;
}

async function readBackend(client: pg.Client): Promise<Backend> {
  const { rows } = await client.query<Backend>(
    "select pg_backend_pid() as pid, current_setting('app.doctor', true) as mark",
  );
  return rows[0]!;
}
