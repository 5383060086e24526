import { setTimeout as delay } from 'node:timers/promises';

/** Asks again and again until there is an answer, for what another process does in its own time. Throws after five seconds. */
export async function eventually<T>(ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 5_000; performance.now() < end; await delay(5)) {
    const answer = await ask();
    if (answer !== undefined) {
      return answer;
    }
  }
  throw new Error('it did not happen within five seconds');
}
