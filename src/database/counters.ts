import type pg from 'pg';
import { runStatement } from './connection.ts';
import type { Database } from './pool.ts';

/** Longer than this nobody waits for a counter. */
const patienceMs = 1_000;
const rowsPerBatch = 1_000;

/** What a library needs to write its counters: one statement at a time, each a transaction by itself. */
export interface CounterClient {
  query(statement: { text: string; values?: unknown[] }): Promise<pg.QueryResult>;
}

/** Runs statements on counters that belong to no tenant. Fails after a second: a limit that is not known refuses. */
export function makeCounterClient({ aux, prepared }: Pick<Database, 'aux' | 'prepared'>): CounterClient {
  return { query: (statement) => runStatement(aux, statement, prepared, patienceMs) };
}

/** Removes counters whose window is over, in batches; those that another node counts or removes are skipped. */
export async function deleteExpiredCounters({ aux, prepared }: Database, now: Date): Promise<void> {
  const text = `
    delete from rate_limits
    where key = any (array(
      select key from rate_limits where expire < $1 limit ${rowsPerBatch} for update skip locked
    ))`;
  let removed: number | null;
  do {
    ({ rowCount: removed } = await runStatement(aux, { text, values: [now.getTime()] }, prepared));
  } while (removed === rowsPerBatch);
}
