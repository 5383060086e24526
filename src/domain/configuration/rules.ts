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
export const duration = z.string().check(mustHold((text) => findDurationFlaw(text)));

/** An ISO 8601 duration within bounds, kept as it was written. */
export function durationBetween({ least, most }: { least: string; most: string }) {
  return z.string().check(mustHold((text) => findDurationFlaw(text, { least, most })));
}

function findDurationFlaw(text: string, bounds?: { least: string; most: string }): string | undefined {
  try {
    const seconds = parseDuration(text);
    return bounds && (seconds < parseDuration(bounds.least) || seconds > parseDuration(bounds.most))
      ? `must be between ${bounds.least} and ${bounds.most}`
      : undefined;
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
