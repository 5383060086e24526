import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { errorCode } from './embedded-binaries.ts';
import { type Cluster, openCluster, type Role } from './embedded-cluster.ts';
import {
  findPostmaster,
  freePort,
  lastPort,
  launchPostmaster,
  logTail,
  stopPostmaster,
  waitUntilReady,
} from './embedded-postmaster.ts';

export type EmbeddedOptions = {
  /** Folder of the cluster, its passwords (`postgres.json`) and its log (`postgres.log`); made if missing. */
  dataDir: string;
  log?: Pick<Logger, 'info' | 'warn'>;
  /** False gives up on surviving a power cut, for speed in tests. Killed processes lose nothing either way. */
  durable?: boolean;
  /** Folder with `bin/postgres`; by default the installed package of this platform. */
  binaries?: string;
  /** Root's place for what the unprivileged Postgres user could not reach otherwise. */
  fallbackDir?: string;
};

export type Embedded = {
  /** A connection string; by default for database `tessera` as the runtime role. */
  url(database?: string, role?: Role): string;
  port: number;
  /** Lets go of the database, and shuts it down if no other process holds it. Can be called twice. */
  stop(): Promise<void>;
};

const userNames: Record<Role, string> = { superuser: 'postgres', owner: 'tessera_owner', runtime: 'tessera' };

/**
 * Starts the embedded PostgreSQL of a data folder on 127.0.0.1, or joins the one that runs there already, and
 * makes sure of the roles and of the database `tessera`. Should Postgres die before `stop`, it is started
 * again on the same port. Throws an error that names DATABASE_URL where this machine cannot run it.
 *
 * Who still needs Postgres is known to Postgres: each holder keeps a session with a shared advisory lock.
 * The kernel closes the session of a killed process, so there are no files to go stale; and whoever gets the
 * lock exclusively is the last one, while a newcomer waits for the lock and, when told that the server shuts
 * down, starts it again.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { dataDir, log, durable = true, binaries, fallbackDir = '/var/lib/tessera' } = options;
  const cluster = await openCluster({ dataDir, durable, binaries, fallbackDir });
  if (cluster.identity.dir) {
    log?.info(
      { dir: cluster.dir, dataDir },
      'the user of Postgres cannot reach the data folder, so the cluster is kept outside',
    );
  }
  const stopping = new AbortController();

  const first = await hold(cluster, { attempts: 8, signal: stopping.signal });
  try {
    await prepareDatabase(first.client, cluster);
  } catch (error) {
    await release(cluster, first);
    throw error;
  }
  log?.info({ port: first.port, dir: cluster.dir, joined: first.joined }, 'embedded Postgres is ready');

  const { port } = first;
  let current = Promise.resolve(first);
  keepRunning(first);

  function keepRunning(held: Held): void {
    held.lost.then(() => {
      if (stopping.signal.aborted) return;
      log?.warn({ port }, 'embedded Postgres went away, starting it again');
      current = hold(cluster, { attempts: Number.POSITIVE_INFINITY, signal: stopping.signal, port, log });
      current.then(
        (again) => {
          log?.info({ port: again.port }, 'embedded Postgres is back');
          keepRunning(again);
        },
        (error) => log?.warn({ err: error }, 'embedded Postgres stays down'),
      );
    });
  }

  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    stopping.abort();
    const held = await current.catch(() => undefined);
    if (held) await release(cluster, held);
  }

  return {
    port,
    url(database = 'tessera', role = 'runtime') {
      const login = `${userNames[role]}:${cluster.identity.passwords[role]}`;
      return `postgres://${login}@127.0.0.1:${port}/${database}?sslmode=disable`;
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

type Held = { client: pg.Client; pid: number; port: number; joined: boolean; lost: Promise<void> };
type HoldOptions = {
  attempts: number;
  signal: AbortSignal;
  port?: number;
  log?: EmbeddedOptions['log'];
};

const wrongPassword = '28P01';

async function hold(cluster: Cluster, { attempts, signal, port, log }: HoldOptions): Promise<Held> {
  let failure: unknown;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await sleep(Math.min(50 * 2 ** attempt, 5_000), undefined, { signal });
    try {
      return await tryToHold(cluster, port);
    } catch (error) {
      if (errorCode(error) === wrongPassword) {
        const message = `postgres.json does not hold the password of the cluster ${cluster.dir}`;
        throw new Error(message, { cause: error });
      }
      if (attempt === 5) {
        log?.warn({ err: error, tail: logTail(cluster) }, 'embedded Postgres does not start');
      }
      failure = error;
    }
  }
  throw new Error(`embedded Postgres did not start, its log ends with:\n${logTail(cluster)}`, {
    cause: failure,
  });
}

async function tryToHold(cluster: Cluster, port: number | undefined): Promise<Held> {
  const running = findPostmaster(cluster);
  const pid = running?.pid ?? (await launchPostmaster(cluster, port ?? (await freePort(lastPort(cluster)))));
  const actualPort = await waitUntilReady(cluster, pid);

  const client = new pg.Client({
    host: '127.0.0.1',
    port: actualPort,
    user: userNames.superuser,
    password: cluster.identity.passwords.superuser,
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: 10_000,
    application_name: `holder ${process.pid}`,
  });
  client.on('error', () => {});
  const lost = new Promise<void>((resolve) => client.once('end', resolve));
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock_shared(${holdersLock})`);
  } catch (error) {
    await client.end();
    if (errorCode(error) === wrongPassword && !running) await stopPostmaster(cluster, pid);
    throw error;
  }
  return { client, pid, port: actualPort, joined: running !== undefined, lost };
}

async function release(cluster: Cluster, { client, pid }: Held): Promise<void> {
  if (await isLastHolder(client)) await stopPostmaster(cluster, pid);
  await client.end();
}

/**
 * Lets go first: of two holders that leave at once, one then finds itself alone. Waits a moment, since the
 * session of a process killed just now may not have ended yet.
 */
async function isLastHolder(client: pg.Client): Promise<boolean> {
  try {
    await client.query(`select pg_advisory_unlock_shared(${holdersLock})`);
    await client.query("set lock_timeout = '250ms'");
    await client.query(`select pg_advisory_lock(${holdersLock})`);
    return true;
  } catch {
    // Others hold it, or the connection is gone and Postgres with it.
    return false;
  }
}

const holdersLock = 7_215_001;
const preparationLock = 7_215_002;

async function prepareDatabase(client: pg.Client, cluster: Cluster): Promise<void> {
  const { owner, runtime } = cluster.identity.passwords;
  await client.query(`select pg_advisory_lock(${preparationLock})`);
  await ensure(client, "pg_roles where rolname = 'tessera_owner'", [
    `create role tessera_owner login createdb createrole nosuperuser nobypassrls password '${owner}'`,
  ]);
  await ensure(client, "pg_roles where rolname = 'tessera'", [
    `create role tessera login nocreatedb nocreaterole nosuperuser nobypassrls password '${runtime}'`,
  ]);
  await ensure(client, "pg_database where datname = 'tessera'", [
    'create database tessera owner tessera_owner',
  ]);
  await client.query(`select pg_advisory_unlock(${preparationLock})`);
}

async function ensure(client: pg.Client, condition: string, statements: string[]): Promise<void> {
  const { rowCount } = await client.query(`select from ${condition}`);
  if (rowCount === 0) for (const statement of statements) await client.query(statement);
}
