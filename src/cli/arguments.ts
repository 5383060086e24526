import { parseArgs } from 'node:util';

export const usage = `Usage: tessera COMMAND [OPTIONS]

  serve                  run the server
  migrate                bring the database up to date
  plan FILE              show what apply would change
  apply FILE             make the database hold what FILE says (YAML or JSON, - for standard input)
  export --tenant SLUG   write a tenant as such a file; --with-password-hashes adds those
  users import FILE      take users of --tenant SLUG from JSON lines or CSV; --report FILE for the lines refused
  keys rotate            let the next signing keys take over; --now at once, for a key that leaked
  doctor                 check the installation and name what to change

  --json                 print one JSON document on standard output
`;

/** What the arguments ask for. */
export type Invocation =
  | { command: 'help' }
  | { command: 'serve' }
  | { command: 'migrate' }
  | { command: 'doctor' }
  | { command: 'apply' | 'plan'; file: string }
  | { command: 'export'; tenant: string; withPasswordHashes: boolean }
  | { command: 'users import'; file: string; tenant: string; report: string | undefined }
  | { command: 'keys rotate'; atOnce: boolean };

export type Arguments = { json: boolean; invocation: Invocation } | { json: boolean; problem: string };

const options = {
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  tenant: { type: 'string' },
  'with-password-hashes': { type: 'boolean' },
  now: { type: 'boolean' },
  report: { type: 'string' },
} as const;

const optionsOf: Record<string, readonly string[]> = {
  export: ['tenant', 'with-password-hashes'],
  'keys rotate': ['now'],
  'users import': ['tenant', 'report'],
};

/** Reads the words after the name of the program; what cannot be read is a `problem` in one sentence. */
export function readArguments(argv: readonly string[]): Arguments {
  const json = argv.includes('--json');
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    const invocation = values.help ? ({ command: 'help' } as const) : readInvocation(positionals, values);
    return typeof invocation === 'string' ? { json, problem: invocation } : { json, invocation };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS_')) {
      return { json, problem: (error as Error).message.split('. ', 1)[0]! };
    }
    throw error;
  }
}

interface Values {
  tenant?: string;
  'with-password-hashes'?: boolean;
  now?: boolean;
  report?: string;
}

/** The first words of commands that have two. */
const pairs = ['keys', 'users'];

function readInvocation(positionals: string[], values: Values): Invocation | string {
  const [first, ...others] = positionals;
  const [command, rest] =
    first !== undefined && pairs.includes(first)
      ? [`${first} ${others[0] ?? ''}`.trim(), others.slice(1)]
      : [first, others];
  const misplaced = Object.keys(values).find(
    (name) => name !== 'json' && name !== 'help' && !optionsOf[command ?? '']?.includes(name),
  );
  const invocation = readCommand(command, rest, values);
  if (typeof invocation !== 'string' && misplaced !== undefined) {
    return `--${misplaced} does not belong to ${command}`;
  }
  return invocation;
}

function readCommand(command: string | undefined, operands: string[], values: Values): Invocation | string {
  switch (command) {
    case undefined:
      return 'a command is needed';
    case 'help':
      return { command };
    case 'serve':
    case 'migrate':
    case 'doctor':
      return operands.length === 0 ? { command } : `${command} takes no ${operands[0]}`;
    case 'apply':
    case 'plan': {
      const [file, ...more] = operands;
      return file !== undefined && more.length === 0 ? { command, file } : `${command} needs one FILE`;
    }
    case 'export':
      return values.tenant && operands.length === 0
        ? { command, tenant: values.tenant, withPasswordHashes: values['with-password-hashes'] ?? false }
        : 'export needs --tenant SLUG and nothing else';
    case 'users import': {
      const [file, ...more] = operands;
      return file && values.tenant && more.length === 0
        ? { command, file, tenant: values.tenant, report: values.report }
        : `${command} needs one FILE and --tenant SLUG`;
    }
    case 'keys rotate':
      return operands.length === 0
        ? { command, atOnce: values.now ?? false }
        : `${command} takes no ${operands[0]}`;
    default:
      return `there is no command ${command}`;
  }
}
