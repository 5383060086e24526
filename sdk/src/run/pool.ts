import type pg from 'pg';
import type { Ask } from './bound-role.ts';
import { DatabaseUnavailableError, RolledBackError } from './errors.ts';
import { makeQueue, unqueued } from './queue.ts';

/** Sends a statement into the transaction; behind those sent before. */
export type Send = (query: string | pg.QueryConfig, values?: unknown[]) => Promise<pg.QueryResult>;

/** Rows of one statement on any connection of the pool. Throws `DatabaseUnavailableError` when there is none. */
export function askPool(pool: pg.Pool): Ask {
  return async (statement) => {
    const client = await checkOut(pool);
    try {
      const { rows } = await client.query(statement);
      giveBack(client);
      return rows;
    } catch (error) {
      giveBack(client, true);
      throw new DatabaseUnavailableError(error);
    }
  };
}

/**
 * One transaction on a connection of the pool: BEGIN and `settings` in one message, `work`, COMMIT. Where the pool was made
 * with `pipeline: true` the first statement of `work` leaves in that flight too.
 *
 * Any error rolls back. A connection that does not answer to that is closed instead of handed back, and the error becomes
 * a `DatabaseUnavailableError`.
 */
export async function transactOnPool<T>(
  pool: pg.Pool,
  settings: string,
  work: (send: Send) => Promise<T>,
): Promise<T> {
  const client = await checkOut(pool);
  const send = sender(client);
  const begun = send(`begin; ${settings}`);
  // Reported below, in place of the errors that it causes in the statements behind it.
  begun.catch(() => {});
  let committing = false;
  try {
    if (!isPipelined(client)) await begun;
    const result = await work(send);
    committing = true;
    const { command } = await send('commit');
    // The answer to COMMIT of a failed transaction is ROLLBACK, and no error.
    if (command !== 'COMMIT') throw new RolledBackError();
    giveBack(client);
    return result;
  } catch (thrown) {
    const error = await begun.then(
      () => thrown,
      (failed) => failed,
    );
    const alive = await send('rollback').then(
      () => true,
      () => false,
    );
    giveBack(client, !alive);
    throw alive ? error : new DatabaseUnavailableError(error, committing ? 'unknown' : 'no');
  }
}

async function checkOut(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    const client = await pool.connect();
    // While it is out the pool does not listen, and an error that nobody hears ends the process.
    client.on('error', ignoreLoss);
    return client;
  } catch (error) {
    throw new DatabaseUnavailableError(error);
  }
}

function giveBack(client: pg.PoolClient, close = false): void {
  client.release(close);
  client.off('error', ignoreLoss);
}

// The statement that meets the loss reports it.
function ignoreLoss(): void {}

function sender(client: pg.PoolClient): Send {
  const queue = isPipelined(client) ? unqueued : makeQueue();
  return (query, values) => queue.run(() => client.query(query as string, values));
}

function isPipelined(client: pg.PoolClient): boolean {
  return (client as { pipeline?: unknown }).pipeline === true;
}
