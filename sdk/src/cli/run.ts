import { readFileSync } from 'node:fs';
import { type Args, readArgs } from './args.ts';
import { runExplain } from './explain.ts';
import { helpText, usageLine } from './help.ts';
import { runLint } from './lint.ts';
import { type Outcome, type Surroundings, UsageError } from './outcome.ts';
import { runProve } from './prove.ts';

/** Runs one command line and gives what to print and the exit code. Never throws: what goes wrong is exit 2. */
export async function run(argv: readonly string[], around: Surroundings): Promise<Outcome> {
  let read: Args | undefined;
  try {
    read = readArgs(argv);
    return await runCommand(read, around);
  } catch (error) {
    const { message } = error as Error;
    const line = `rls: ${message}\n`;
    if (!(error instanceof UsageError)) return { exit: 2, stdout: '', stderr: line };
    const command = [...argv].find((word): word is 'lint' => ['lint', 'prove', 'explain'].includes(word));
    return { exit: 2, stdout: '', stderr: line + usageLine(command) };
  }
}

function runCommand(read: Args, around: Surroundings): Outcome | Promise<Outcome> {
  const url = 'args' in read ? (read.args.url ?? around.env['DATABASE_URL']) : undefined;
  switch (read.command) {
    case 'help':
      return { exit: 0, stdout: helpText(read.about), stderr: '' };
    case 'version':
      return { exit: 0, stdout: `${version()}\n`, stderr: '' };
    case 'lint':
      return runLint(read.args, url, around);
    case 'prove':
      return runProve(read.args, url, around);
    case 'explain':
      return runExplain(read.args, url, around);
  }
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
