/**
 * How often a password may be guessed wrong in a row (NIST SP 800-63B-4 section 3.2.2). Strangers to an account share one count, and
 * each known device has its own; `stop` counts all of them together.
 */
export const lockoutPolicy = Object.freeze({
  /** So many failures cost no wait. */
  free: 5,
  /** The wait after the last of those, after the next failure, and so on; the last one repeats. Seconds. */
  waits: Object.freeze([30, 60, 120, 240, 480, 960, 1_920, 3_600]),
  /** After so many the password opens nothing any more: only another one does. */
  stop: 100,
});
