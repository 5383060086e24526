import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import { freePort } from './server.ts';

const places = [
  process.env['REDIS_SERVER_PATH'],
  '/usr/bin/redis-server',
  '/usr/local/bin/redis-server',
  '/usr/bin/valkey-server',
];

export interface RedisServer {
  url: string;
  process: ChildProcess;
  /** Runs a command as an operator would, with patience. */
  run(...command: [string, ...string[]]): Promise<unknown>;
  /** Ends it, and waits. It may be started again on the same port. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Ends it for good. */
  drop(): Promise<void>;
}

/** Finds an installed Redis; says plainly that tests are left out without one, which with `CI` set is a failure. */
export function redisPath(): string | undefined {
  const binary = places.find((place) => place && existsSync(place));
  if (!binary) {
    const message = 'the tests with Redis are left out: install it or set REDIS_SERVER_PATH';
    if (process.env['CI']) {
      throw new Error(message);
    }
    process.stderr.write(`${message}\n`);
  }
  return binary;
}

/** Starts a real Redis that keeps nothing on disk. */
export async function startRedis(): Promise<RedisServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const run = async (name: string, ...parameters: string[]) => {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return await redis.call(name, ...parameters);
    } finally {
      redis.disconnect();
    }
  };
  const start = async () => {
    const child = spawn(
      redisPath()!,
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
      { stdio: 'ignore' },
    );
    await eventually(async () => ((await run('ping').catch(() => undefined)) ? true : undefined));
    return child;
  };
  let child = await start();
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
  };
  return {
    url,
    get process() {
      return child;
    },
    run,
    stop,
    async restart() {
      await stop();
      child = await start();
    },
    async drop() {
      await stop();
      rmSync(folder, { recursive: true });
    },
  };
}
