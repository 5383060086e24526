import type { Services } from '#src/services.ts';
import { maintainKeys } from './maintain-keys.ts';
import { makePurgeExpired } from './purge-expired.ts';
import { purgeRateLimits } from './purge-rate-limits.ts';
import { startSendingMail } from './send-mail.ts';

type Job = { name: string; every: number; run: (services: Services) => Promise<void> };

/** Periodic work, each safe on many nodes at once: name, seconds between runs, what runs. */
const makeJobs = (): Job[] => [
  { name: 'purge_expired', every: 60, run: makePurgeExpired() },
  { name: 'purge_rate_limits', every: 60, run: purgeRateLimits },
  { name: 'maintain_keys', every: 3600, run: maintainKeys },
  { name: 'supervise_queue', every: 60, run: ({ jobQueue }) => jobQueue.supervise() },
];

/** What is under way when the process is told to end gets so long. Milliseconds. */
const drainMs = 15_000;

/**
 * Runs each job on its clock; one that fails is logged and tried again at its next time. Takes what is in the job queue as it
 * comes; throws when the queue is of another release.
 */
export async function startJobs(services: Services): Promise<{ stop(): Promise<void> }> {
  await services.jobQueue.start();
  await startSendingMail(services);
  const running = new Set<Promise<void>>();
  const timers = makeJobs().map(({ name, every, run }) => {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) {
        return;
      }
      busy = true;
      const work = run(services)
        .catch((err: unknown) => services.log.error({ err, job: name }, 'job failed'))
        .finally(() => {
          busy = false;
          running.delete(work);
        });
      running.add(work);
    }, every * 1000);
    timer.unref();
    return timer;
  });
  return {
    async stop() {
      for (const timer of timers) {
        clearInterval(timer);
      }
      await Promise.all([...running, services.jobQueue.stop(drainMs)]);
    },
  };
}
