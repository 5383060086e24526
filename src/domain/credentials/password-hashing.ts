import type { HashingLoad, HashingQueue } from '#src/lib/hashing-queue.ts';
import {
  findPepperId,
  hashPassword,
  isOutdated,
  type Pepper,
  type Verification,
  verifyPassword,
} from './password-hash.ts';

/** All hashing of passwords: in turn, and with the peppers of this installation. */
export interface PasswordHashing {
  hash(password: string): Promise<string>;
  verify(password: string, stored: string): Promise<Verification>;
  /** Whether a password that verified should be hashed anew. */
  isOutdated(stored: string): boolean;
  /** How busy it is. */
  load: HashingLoad;
}

/**
 * Runs `hashPassword` and `verifyPassword` in the queue, which rejects with HashingBusyError when too many wait. Peppers come
 * newest first. `onMissingPepper` hears of each hash that cannot be verified, since its pepper is not there.
 */
export function makePasswordHashing(
  queue: HashingQueue,
  {
    peppers = [],
    onMissingPepper = () => {},
  }: { peppers?: readonly Pepper[]; onMissingPepper?: (pepper_id: string) => void } = {},
): PasswordHashing {
  return {
    hash: (password) => queue.run(() => hashPassword(password, peppers), 'hash'),
    verify(password, stored) {
      const pepper_id = findPepperId(stored);
      if (pepper_id !== undefined && !peppers.some(({ id }) => id === pepper_id)) {
        onMissingPepper(pepper_id);
      }
      return queue.run(() => verifyPassword(password, stored, peppers), 'verify');
    },
    isOutdated: (stored) => isOutdated(stored, peppers),
    load: queue,
  };
}
