/** Why a configuration was not applied: its file is wrong, it asks for a name that is taken, or others kept changing the same. */
export type ConfigurationErrorCode = 'invalid' | 'conflict' | 'busy';

/** Thrown with all that is wrong at once, one sentence each, led by its path in the file. Shows no secret. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code: ConfigurationErrorCode;
  readonly problems: readonly string[];

  constructor(code: ConfigurationErrorCode, problems: readonly string[], options?: ErrorOptions) {
    super(problems.join('\n'), options);
    this.code = code;
    this.problems = problems;
  }
}

/** Where something stands in a file: names of fields and positions in lists. */
export type Path = readonly PropertyKey[];

/** `tenants[0].users[1].email`; the file itself is "the file". */
export function formatPath(path: Path): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text === '' ? 'the file' : text.replace(/^\./, '');
}
