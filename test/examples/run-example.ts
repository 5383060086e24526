import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a program of this repository as a process of its own and gives the lines that it printed. */
export async function runProgram(file: string, args: string[] = [], env: NodeJS.ProcessEnv = process.env) {
  const command = ['--disable-warning=ExperimentalWarning', file, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root, env });
  return stdout.trim().split('\n');
}

/** Runs examples/NAME/main.ts on a database whose owner logs in there. */
export function runExample(name: string, databaseUrl: string): Promise<string[]> {
  return runProgram(`examples/${name}/main.ts`, [], { ...process.env, DATABASE_URL: databaseUrl });
}
