import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafeSlow(8_192);
let used = pool.length;

/**
 * Random bytes for nonces and identifiers. They are cut from a pool, each part once: asking the generator
 * for a few costs as much as asking it for thousands, and every request asks several times.
 */
export function randomPart(bytes: number): Buffer {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return Buffer.from(pool.subarray(used - bytes, used));
}
