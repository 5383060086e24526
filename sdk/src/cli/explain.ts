import { type Explanation, explain, isGood, UnknownTableError } from '../explain/explain.ts';

import { TokenError } from '../verify/errors.ts';
import type { ExplainArgs } from './args.ts';
import { readOptions } from './config.ts';
import { readWhole, withClient } from './connect.ts';
import { explanationText } from './explanation.ts';
import { parseJson, readNamed } from './files.ts';
import { CannotRun, type Outcome, type Surroundings, UsageError } from './outcome.ts';
import { makeStyle } from './style.ts';

/** `rls explain`: what one token may see of a table, and why. Throws CannotRun; shows nothing of the signature. */
export async function runExplain(
  args: ExplainArgs,
  url: string | undefined,
  around: Surroundings,
): Promise<Outcome> {
  const { table, issuer, audience } = args;
  for (const [name, value] of Object.entries({ table, issuer, audience })) {
    if (value === undefined) throw new UsageError(`rls explain needs --${name}`);
  }
  const options = readOptions(args, around.directory);
  const jwks = args.jwks === undefined ? undefined : readKeys(around.directory, args.jwks);
  const token = (args.token === '-' ? await around.stdin() : args.token)
    .trim()
    .replace(/^(bearer|dpop) +/i, '');
  const explanation = await withClient(url, async (client) => {
    const catalogue = await readWhole(client, options);
    try {
      return await explain(token, {
        client,
        catalogue,
        options,
        table: table!,
        issuer: issuer!,
        audience: audience!,
        jwks,
      });
    } catch (error) {
      throw explainable(error, catalogue.role.name, client.user);
    }
  });
  return {
    exit: isGood(explanation) ? 0 : 1,
    stdout: args.json ? asJson(explanation) : explanationText(explanation, makeStyle(around.colours)),
    stderr: '',
  };
}

function readKeys(directory: string, file: string): { keys: unknown[] } {
  const value = parseJson(readNamed(directory, file, { optional: false })!, file) as {
    keys?: unknown;
  } | null;
  if (!Array.isArray(value?.keys)) throw new CannotRun(`${file} is no JWK set: it must be { "keys": [...] }`);
  return { keys: value.keys };
}

function explainable(error: unknown, role: string, user: string | undefined): unknown {
  if (error instanceof UnknownTableError) return new CannotRun(error.message);
  if (error instanceof TypeError) return new UsageError(error.message);
  if (error instanceof TokenError) {
    return new CannotRun(`${error.message}; with --jwks FILE the keys come from a file instead`);
  }
  if ((error as { code?: unknown }).code === '42501') {
    return new CannotRun(
      `"${user}" may not become the role "${role}": grant "${role}" to "${user}", or give a --url of "${role}"`,
    );
  }
  return error;
}

function asJson({ findings, ...rest }: Explanation): string {
  return `${JSON.stringify({ findings, ...rest }, null, 2)}\n`;
}
