/** Thrown for a text that is not a duration we take; the message says what would be. */
export class DurationError extends Error {
  override readonly name = 'DurationError';
}

const pattern = /^P(?=\d|T)(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/;

/**
 * Gives the whole seconds of an ISO 8601 duration such as `PT30M`, `PT8H` or `P1DT12H`.
 * Refuses years, months and weeks, whose length depends on the calendar or on habit, and fractions,
 * signs and lower case, by throwing a DurationError.
 */
export function parseDuration(text: string): number {
  const parts = pattern.exec(text);
  if (!parts) {
    throw new DurationError(
      `${JSON.stringify(text.slice(0, 40))} is not a duration: write days, hours, minutes and seconds as P1D, PT8H, PT30M or P1DT12H`,
    );
  }
  const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return days * 86_400 + hours * 3_600 + minutes * 60 + seconds;
}
