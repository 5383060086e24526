import { availableParallelism } from 'node:os';

/** Threads for everything of Node's pool that is no hash: names, files, compression. As many as it has by itself. */
const otherThreads = 4;

/** How many passwords are hashed at once: one core stays free for everything that is not a password. */
export function hashingLanes(cores = availableParallelism()): number {
  return Math.max(1, cores - 1);
}

/**
 * What UV_THREADPOOL_SIZE has to be so that no name, file or compression ever waits for a hash. `given` is what it is: more
 * stays, less does not. Node reads it when its pool is first used, and never again.
 */
export function threadPoolSize(given: string | undefined, lanes = hashingLanes()): number {
  return Math.max(lanes + otherThreads, Number(given) || 0);
}
