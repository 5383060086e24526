import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errorCode, isAlive, postgresEnvironment } from './embedded-binaries.ts';
import { type Cluster, randomPort } from './embedded-cluster.ts';

const maxLogBytes = 10_000_000;
const readyMilliseconds = 120_000;
const stopMilliseconds = 60_000;

export type Postmaster = { pid: number; port: number; status: string };

/** The postmaster that runs on this cluster. Gives undefined, and clears the way, when there is none. */
export function findPostmaster(cluster: Cluster): Postmaster | undefined {
  const file = path.join(cluster.dir, 'postmaster.pid');
  const text = readPidFile(file);
  if (text === undefined) return undefined;
  const [pid, , , port, , , , status = ''] = text.split('\n');
  const found = { pid: Number(pid), port: Number(port), status: status.trim() };
  if (isPostmaster(found.pid, cluster.dir)) return found;
  // Postgres itself removes the file of a dead postmaster, but not an empty one (killed while it wrote), and it
  // takes any other process of that id for a postmaster.
  if (text === '' ? ageOf(file) > 5_000 : isAlive(found.pid)) moveAside(file, text);
  return undefined;
}

/** The port that this cluster used when it last ran, if it did not end cleanly, else its first one. */
export function lastPort(cluster: Cluster): number {
  const port = readPidFile(path.join(cluster.dir, 'postmaster.pid'))?.split('\n')[3];
  return Number(port) || cluster.identity.port;
}

function readPidFile(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function ageOf(file: string): number {
  return Date.now() - fs.statSync(file).mtimeMs;
}

function moveAside(file: string, seen: string): void {
  const aside = `${file}.${randomUUID()}`;
  fs.renameSync(file, aside);
  if (readPidFile(aside) === seen) fs.rmSync(aside);
  else fs.renameSync(aside, file);
}

function isPostmaster(pid: number, dir: string): boolean {
  if (!(pid > 0)) return false;
  if (process.platform === 'linux') {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dir);
    } catch {
      return false;
    }
  }
  if (process.platform === 'win32') return isAlive(pid);
  const run = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return run.stdout.includes(dir);
}

/**
 * Starts a postmaster in a session of its own, so that Ctrl-C in our terminal does not reach it and it
 * outlives us. Gives its process id at once. On a cluster that already has one, the new one gives up.
 */
export async function launchPostmaster(cluster: Cluster, port: number): Promise<number> {
  const size = fs.statSync(cluster.log_file, { throwIfNoEntry: false })?.size ?? 0;
  const log = fs.openSync(cluster.log_file, size > maxLogBytes ? 'w' : 'a', 0o600);
  const settings = [...cluster.settings, `port=${port}`].flatMap((setting) => ['-c', setting]);
  const child = spawn(path.join(cluster.bin, 'postgres'), ['-D', cluster.dir, ...settings], {
    ...cluster.account,
    cwd: '/',
    env: postgresEnvironment,
    detached: true,
    stdio: ['ignore', log, log],
  });
  fs.closeSync(log);
  child.unref();
  await once(child, 'spawn');
  return child.pid!;
}

/** Waits until that postmaster accepts connections, recovery included, and gives its port; throws if it ends. */
export async function waitUntilReady(cluster: Cluster, pid: number): Promise<number> {
  for (const deadline = Date.now() + readyMilliseconds; Date.now() < deadline; await sleep(25)) {
    if (!isPostmaster(pid, cluster.dir)) throw new Error(`postmaster ${pid} ended while it started`);
    const found = findPostmaster(cluster);
    if (found?.pid === pid && found.status === 'ready') return found.port;
  }
  throw new Error(`postmaster ${pid} was not ready after ${readyMilliseconds / 1000} s`);
}

/** Fast shutdown: sessions are ended, everything is written. Throws when that takes over a minute. */
export async function stopPostmaster(cluster: Cluster, pid: number): Promise<void> {
  if (process.platform === 'win32') {
    const options = ['stop', '-D', cluster.dir, '-m', 'fast', '-t', String(stopMilliseconds / 1000)];
    await promisify(execFile)(path.join(cluster.bin, 'pg_ctl'), options);
    return;
  }
  process.kill(pid, 'SIGINT');
  for (const deadline = Date.now() + stopMilliseconds; Date.now() < deadline; await sleep(25)) {
    if (!isPostmaster(pid, cluster.dir)) return;
  }
  throw new Error(`postmaster ${pid} was still running ${stopMilliseconds / 1000} s after a fast shutdown`);
}

/** The wanted port if it is free, else a random free one. */
export async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; ; port = randomPort()) {
    const server = net.createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return port;
    } catch (error) {
      if (!['EADDRINUSE', 'EACCES'].includes(errorCode(error))) throw error;
    } finally {
      server.close();
    }
  }
}

/** The last lines of the server log, for error messages. */
export function logTail(cluster: Cluster): string {
  if (!fs.existsSync(cluster.log_file)) return '';
  return fs.readFileSync(cluster.log_file, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}
