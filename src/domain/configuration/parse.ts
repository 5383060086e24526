import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { ConfigurationError, formatPath, type Path } from './errors.ts';
import { type Configuration, configurationSchema } from './schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** More than people write, and far fewer than a file needs that grows a thousandfold as it is read. */
const maxAliases = 100;

/** One slip of the pen makes many. */
const maxSyntaxProblems = 3;

const reference = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{/g;

/**
 * Reads a configuration file, YAML 1.2 or JSON. In its strings `${NAME}` gives way to that variable of `env`, whose value is
 * not read again, and `$${` to a plain `${`. Throws a ConfigurationError (`invalid`) with every problem and its path: broken
 * or repeated keys, tags, unknown fields, variables that are not set, values that are not taken.
 */
export function parseConfiguration(text: string, env: Environment): Configuration {
  const problems: string[] = [];
  const parsed = configurationSchema.safeParse(substitute(readDocument(text), { env, problems }, []));
  problems.push(...(parsed.error?.issues ?? []).flatMap(describeIssue));
  if (!parsed.success || problems.length > 0) {
    throw new ConfigurationError('invalid', problems);
  }
  return parsed.data;
}

/** A string that reads as itself in a configuration file, whatever a user put into it. */
export function escapeReferences(text: string): string {
  return text.replaceAll('${', () => '$${');
}

function readDocument(text: string): unknown {
  let problems: string[];
  try {
    const document = parseDocument(text, { schema: 'core', stringKeys: true, prettyErrors: true });
    // An unknown tag is only a warning to the library.
    problems = [...document.errors, ...document.warnings].map(({ message }) => message);
    if (problems.length === 0) {
      return document.toJS({ maxAliasCount: maxAliases });
    }
  } catch (error) {
    problems = [(error as Error).message];
  }
  const shown = problems.slice(0, maxSyntaxProblems).map((problem) => `the file: ${firstLine(problem)}`);
  throw new ConfigurationError('invalid', shown);
}

/** The rest of such a message quotes the file, where secrets stand. */
function firstLine(message: string): string {
  return message.split('\n', 1)[0]!.replace(/:$/, '');
}

function substitute(value: unknown, found: { env: Environment; problems: string[] }, path: Path): unknown {
  if (typeof value === 'string') {
    return substituteText(value, found, path);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => substitute(item, found, [...path, index]));
  }
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, substitute(item, found, [...path, key])]),
    );
  }
  return value;
}

function substituteText(
  text: string,
  { env, problems }: { env: Environment; problems: string[] },
  path: Path,
): string {
  return text.replaceAll(reference, (match, name?: string) => {
    if (match === '$${') {
      return '${';
    }
    if (name === undefined) {
      problems.push(
        `${formatPath(path)}: "\${" must be followed by the name of a variable and "}"; for a plain "\${" write "$\${"`,
      );
      return match;
    }
    const value = env[name];
    if (value === undefined || value === '') {
      problems.push(`${formatPath(path)}: the variable ${name} is not set`);
      return match;
    }
    return value;
  });
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${formatPath([...issue.path, key])}: is not a known field`);
  }
  return [`${formatPath(issue.path)}: ${issue.message}`];
}
