/** Marks a proof as used: true for exactly one caller of each key. */
export type Replay = (key: string, expiresAt: Date) => boolean | Promise<boolean>;

/**
 * Single use of proofs within this process: for a key it gives 'first' once and 'again' afterwards, for one to two
 * times `lifetime` seconds; 'full' while it holds `most` others, since what cannot be remembered must not be accepted.
 * `at` is in seconds. An entry takes some 100 bytes; a million are more than one core verifies in that time.
 */
export function makeReplayMemory(lifetime: number, most = 1_000_000) {
  let young = new Set<string>();
  let old = new Set<string>();
  let turnedAt = Number.NEGATIVE_INFINITY;

  return (key: string, at: number): 'first' | 'again' | 'full' => {
    // A clock that was set back must not keep the memory from ever turning.
    turnedAt = Math.min(turnedAt, at);
    if (at - turnedAt >= lifetime) {
      old = at - turnedAt >= 2 * lifetime ? new Set() : young;
      young = new Set();
      turnedAt = at;
    }
    if (young.has(key) || old.has(key)) return 'again';
    if (young.size + old.size >= most) return 'full';
    young.add(key);
    return 'first';
  };
}
