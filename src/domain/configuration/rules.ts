import { z } from 'zod';
import { DurationError, parseDuration } from '#src/lib/duration.ts';

/** A check whose message is what `findFlaw` says of the value. */
export function mustHold<T>(findFlaw: (value: T) => string | undefined): z.core.CheckFn<T> {
  return ({ value, issues }) => {
    const message = findFlaw(value);
    if (message !== undefined) {
      issues.push({ code: 'custom', input: value, message, continue: true });
    }
  };
}

/** An ISO 8601 duration, kept as it was written. */
export const duration = z.string().check(mustHold((text) => findDurationFlaw(text, 0)));

/** A duration that a session may last. */
export const lifetime = z.string().check(mustHold((text) => findDurationFlaw(text, 60)));

function findDurationFlaw(text: string, minimum: number): string | undefined {
  try {
    return parseDuration(text) < minimum ? `must be at least ${minimum} seconds` : undefined;
  } catch (error) {
    if (error instanceof DurationError) {
      return error.message;
    }
    throw error;
  }
}

/** A name that people give: text without control characters, which PostgreSQL and a terminal would not take as they are. */
export const label = z
  .string()
  .min(1)
  .max(200)
  .check(
    mustHold((text) =>
      /\p{Cc}/u.test(text) || !text.isWellFormed()
        ? 'must not hold control characters or halves of characters'
        : undefined,
    ),
  );
