import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './outcome.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

const shared = {
  url: { type: 'string' },
  json: { type: 'boolean', default: false },
  config: { type: 'string' },
  role: { type: 'string' },
  schema: { type: 'string', multiple: true },
  'tenant-column': { type: 'string', multiple: true },
  setting: { type: 'string', multiple: true },
  claim: { type: 'string', multiple: true },
} as const satisfies Options;

const own = {
  lint: {
    sarif: { type: 'string' },
    baseline: { type: 'string' },
    'write-baseline': { type: 'boolean', default: false },
  },
  prove: { baseline: { type: 'string' }, html: { type: 'string' }, report: { type: 'string' } },
  explain: {
    table: { type: 'string' },
    issuer: { type: 'string' },
    audience: { type: 'string', multiple: true },
    jwks: { type: 'string' },
  },
} as const satisfies Record<string, Options>;

type Value<O> = O extends { multiple: true } ? string[] : O extends { type: 'boolean' } ? boolean : string;
type Values<O> = {
  [N in keyof O]: O[N] extends { default: unknown } ? Value<O[N]> : Value<O[N]> | undefined;
};

export type CommandName = keyof typeof own;
export type SharedArgs = Values<typeof shared>;
export type LintArgs = SharedArgs & Values<(typeof own)['lint']>;
export type ProveArgs = SharedArgs & Values<(typeof own)['prove']>;
export type ExplainArgs = SharedArgs & Values<(typeof own)['explain']> & { token: string };

export type Args =
  | { command: 'help'; about: CommandName | undefined }
  | { command: 'version' }
  | { command: 'lint'; args: LintArgs }
  | { command: 'prove'; args: ProveArgs }
  | { command: 'explain'; args: ExplainArgs };

const general = {
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const satisfies Options;

/** The command line, checked. Throws a UsageError that names what is unknown, missing or too much. */
export function readArgs(argv: readonly string[]): Args {
  const [first, ...rest] = argv;
  if (first === undefined) throw new UsageError('which command? lint, prove or explain');
  if (first === 'help') return { command: 'help', about: findCommand(rest[0]) };
  if (first.startsWith('-')) {
    const { values } = parse([...argv], general);
    return values['version'] ? { command: 'version' } : { command: 'help', about: undefined };
  }
  const command = findCommand(first);
  if (!command) throw new UsageError(`there is no command "${first}"`);
  const { values, positionals } = parse(rest, { ...shared, ...own[command], ...general });
  if (values['help']) return { command: 'help', about: command };
  if (values['version']) return { command: 'version' };
  const expected = command === 'explain' ? 1 : 0;
  if (positionals.length > expected) {
    // The argument itself is not repeated: it may be a token.
    throw new UsageError(`rls ${command} takes ${expected === 1 ? 'one token' : 'options only'}`);
  }
  if (command !== 'explain') return { command, args: values } as unknown as Args;
  const [token] = positionals;
  if (token === undefined)
    throw new UsageError('rls explain needs a token, or - to read it from standard input');
  return { command, args: { ...values, token } } as unknown as Args;
}

function findCommand(name: string | undefined): CommandName | undefined {
  return name !== undefined && Object.hasOwn(own, name) ? (name as CommandName) : undefined;
}

// `--schema -x` and the like: what node says about it in one sentence is enough.
function parse(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    const [sentence] = (error as Error).message.split(/\.(?:\s|$)/, 1);
    throw new UsageError(sentence!.charAt(0).toLowerCase() + sentence!.slice(1));
  }
}
