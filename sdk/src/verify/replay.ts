/** Marks a proof as used: true for exactly one caller of each key. */
export type Replay = (key: string, expiresAt: Date) => boolean | Promise<boolean>;

/** Proofs remembered by one process, some 100 bytes each. */
const most = 200_000;

/**
 * Single use of proofs within this process: for a key it gives 'first' once and 'again' afterwards, for at least
 * `lifetime` seconds; 'full' instead of either when more than 200,000 came within that time, since what cannot be
 * remembered must not be accepted. `at` is in seconds.
 */
export function makeReplayMemory(lifetime: number) {
  let young = new Set<string>();
  let old = new Set<string>();
  let turnedAt = Number.NEGATIVE_INFINITY;

  return (key: string, at: number): 'first' | 'again' | 'full' => {
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
