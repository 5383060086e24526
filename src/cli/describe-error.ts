/** One short line about an error for people: the text of a command or a check, never a stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  // A failed connection to a name with several addresses has no message of its own.
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause instanceof Error ? describeError(error.cause) : undefined;
  const message = error.message.split('\n', 1)[0]!;
  const text = message || code || error.name;
  return cause === undefined || cause === text ? text : `${text}: ${cause}`;
}
