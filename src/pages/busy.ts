import type { Context } from 'koa';
import { HashingBusyError } from '#src/lib/hashing-queue.ts';

/** Runs what hashes passwords; when too many wait, sets Retry-After and runs `refuse` instead, to answer 503. */
export async function unlessBusy(
  ctx: Context,
  work: () => Promise<void>,
  refuse: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HashingBusyError)) {
      throw error;
    }
    ctx.set('retry-after', String(error.retryAfterSeconds));
    await refuse();
  }
}
