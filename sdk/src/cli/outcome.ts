/** What a command ends with: 0 nothing found, 1 findings, 2 could not run. */
export interface Outcome {
  exit: 0 | 1 | 2;
  stdout: string;
  stderr: string;
}

/** What a command knows of the process that it runs in. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  /** Where `rls.json` is looked for, and what file names start from. */
  directory: string;
  /** Whether standard output shows colours. */
  colours: boolean;
  /** All of standard input. */
  stdin(): Promise<string>;
}

/** The command could not run, for a reason that its message says in a line; exit 2. Holds no password and no token. */
export class CannotRun extends Error {
  override name = 'CannotRun';
}

/** The same, when the command line is to blame: usage is shown too. */
export class UsageError extends CannotRun {
  override name = 'UsageError';
}
