import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ran {
  exit: number;
  stdout: string;
  stderr: string;
}

export interface Around {
  /** Over an environment with PATH alone. */
  env?: Record<string, string>;
  directory?: string;
  input?: string;
}

/** Runs the bin `rls` from its sources, as a process of its own. */
export async function rls(
  args: string[],
  { env = {}, directory = tmpdir(), input = '' }: Around = {},
): Promise<Ran> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
    cwd: directory,
    env: { PATH: process.env['PATH'], ...env },
  });
  child.stdin.end(input);
  const [stdout, stderr, [exit]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { exit, stdout, stderr };
}

/** An empty folder, which goes with the end of the block. */
export function emptyFolder(): { path: string; file(name: string): string } & Disposable {
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-rls-'));
  return {
    path: folder,
    file: (name) => path.join(folder, name),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
