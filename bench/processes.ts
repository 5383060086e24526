import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Work } from './counter.ts';
import type { Question, Usage } from './probe.ts';

/** A server process under measurement. */
export interface ServerProcess {
  child: ChildProcess;
  usage(): Promise<Usage>;
  work(): Promise<Work>;
  /** Ends it as an operator would, and waits. */
  stop(): Promise<void>;
}

const canPin = process.platform === 'linux' && spawnSync('taskset', ['--version']).status === 0;

/** Leaves core 0 to the servers and takes core 1; what was started before stays free. Says how it went. */
export function pinGenerator(): string {
  if (!canPin) {
    return 'not pinned to cores: there is no taskset here';
  }
  const { status } = spawnSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)]);
  return status === 0
    ? 'servers on core 0, load generator on core 1, PostgreSQL on both'
    : 'not pinned to cores: there is no core 1';
}

/** Starts a node process with the probe inside, on core 0 unless other `cores` are named (as `0-1`). */
export async function startServer(
  parameters: string[],
  {
    env = {},
    nodeOptions = [],
    stderr = 'inherit',
    cores = '0',
  }: {
    env?: Record<string, string>;
    nodeOptions?: string[];
    stderr?: 'inherit' | 'ignore' | number;
    cores?: string;
  } = {},
): Promise<ServerProcess> {
  const node = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    ...nodeOptions,
    '--import',
    './bench/probe.ts',
    ...parameters,
  ];
  const [command, ...rest] = canPin ? ['taskset', '-c', cores, ...node] : node;
  const child = spawn(command!, rest, {
    stdio: ['ignore', 'ignore', stderr, 'ipc'],
    env: { PATH: process.env['PATH'], ...env },
  });
  const exited = once(child, 'exit');
  const ask = async <T>(question: Question): Promise<T> => {
    child.send(question);
    const [answer] = await once(child, 'message');
    return answer as T;
  };
  return {
    child,
    usage: () => ask<Usage>('usage'),
    work: () => ask<Work>('work'),
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Waits until the server answers. */
export async function untilReady({ child }: ServerProcess, url: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) {
      return;
    }
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`no answer from ${url}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
