import { CompiledQuery } from 'kysely';
import { type Db, PgBoss } from 'pg-boss';
import type { Database } from './pool.ts';
import type { TenantTx } from './tenant.ts';

/** What a job carries: whose it is and the row to look at. Nothing personal, since no policy guards the queue's own tables. */
export interface JobData {
  tenant_id: string;
  id: string;
}

export interface Job {
  data: JobData;
  /** Whether it is given up when this attempt fails. */
  last: boolean;
}

export interface JobOptions {
  /** Attempts after the first one. */
  retryLimit: number;
  /** Seconds before the second attempt; each wait is up to twice the one before. */
  retryDelay: number;
  /** Seconds that no wait is longer than. */
  retryDelayMax: number;
  /** Seconds after which an attempt that nobody reported on counts as failed: its process is gone. */
  expireInSeconds: number;
}

/** Jobs in PostgreSQL: each is run by one node at a time, and again until it succeeds or is given up. */
export interface JobQueue {
  /** Adds a job as part of the transaction: it exists when that commits. One statement. */
  send(tx: TenantTx, queue: string, data: JobData, options: JobOptions): Promise<void>;
  /** Takes jobs of the queue, `batchSize` at a time side by side. `run` says whether the job is done; throwing says no. */
  work(
    queue: string,
    options: JobOptions & { batchSize: number },
    run: (job: Job) => Promise<boolean>,
  ): Promise<void>;
  /** Lets jobs of dead processes be tried again and removes old ones. Any number of nodes may ask; one of them does it. */
  supervise(): Promise<void>;
  /** Throws when the queue's schema is of another version than the library. */
  start(): Promise<void>;
  /** Takes no more jobs; those under way have that many milliseconds to end, and are tried again else. */
  stop(within: number): Promise<void>;
}

/** So long does a job that is done or given up stay, and so often are they looked for. Seconds. */
const keptFor = 3_600;
const never = 24 * 3_600;

/** The job queue on our auxiliary pool: the library gets no connection of its own and may change no schema. */
export function makeJobQueue(db: Database, { onError }: { onError: (error: unknown) => void }): JobQueue {
  const boss = new PgBoss({
    // A statement that fails costs its connection: the library opens transactions of its own in some.
    db: { executeSql: (text, values) => db.aux.query(text, values) },
    migrate: false,
    createSchema: false,
    schedule: false,
    registerInstance: false,
    // We call it ourselves, since its own clock also looks for kinds of jobs that we have none of.
    supervise: false,
    monitorIntervalSeconds: 30,
    maintenanceIntervalSeconds: keptFor,
    queueCacheIntervalSeconds: never,
    // Both belong to the owner of the tables.
    reindex: false,
    monitorVacuum: false,
    openTelemetry: { enabled: false },
  });
  boss.on('error', onError);

  return {
    async send(tx, queue, data, options) {
      await boss.send(queue, data, { ...jobOptions(options), db: inTransaction(tx) });
    },
    async work(queue, { batchSize, retryLimit }, run) {
      await boss.work<JobData>(
        queue,
        { batchSize, perJobResults: true, pollingIntervalSeconds: 2, burstWhenBatchFull: true },
        (jobs) =>
          Promise.all(
            jobs.map(async ({ id, data, retryCount }) => {
              const done = await run({ data, last: retryCount >= retryLimit }).catch((error: unknown) => {
                onError(error);
                return false;
              });
              return { id, status: done ? 'completed' : 'failed' } as const;
            }),
          ),
      );
    },
    supervise: () => boss.supervise(),
    async start() {
      await boss.start().catch((cause: Error) => {
        throw /not installed|requires migrations/.test(cause.message)
          ? new Error(
              `the tables of the job queue (schema pgboss) are not those of this release: ${cause.message}`,
              { cause },
            )
          : cause;
      });
    },
    stop: (within) => boss.stop({ close: false, timeout: within }),
  };
}

function jobOptions({ retryLimit, retryDelay, retryDelayMax, expireInSeconds }: JobOptions) {
  return {
    retryLimit,
    retryDelay,
    retryDelayMax,
    retryBackoff: true,
    expireInSeconds,
    deleteAfterSeconds: keptFor,
  };
}

const inTransaction = (tx: TenantTx): Db => ({
  executeSql: (text, values = []) =>
    tx.executeQuery(CompiledQuery.raw(text, values)).then(({ rows }) => ({ rows })),
});
