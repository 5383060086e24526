import { deleteExpiredCounters } from '#src/database/counters.ts';
import type { Services } from '#src/services.ts';

/** Removes the counters of rate limits whose window is over. Those in Redis go by themselves. */
export async function purgeRateLimits({ db, now }: Pick<Services, 'db' | 'now'>): Promise<void> {
  await deleteExpiredCounters(db, now());
}
