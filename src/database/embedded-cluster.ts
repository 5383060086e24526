import { execFile, spawnSync } from 'node:child_process';
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  type Account,
  errorCode,
  makeDraft,
  packagedBinaries,
  postgresAccount,
  postgresEnvironment,
  publishDraft,
  runnableBinaries,
} from './embedded-binaries.ts';

/** An initialised Postgres data folder and all that is needed to run it. */
export type Cluster = {
  dir: string;
  bin: string;
  account: Account;
  settings: string[];
  log_file: string;
  identity: Identity;
};

/** What `<dataDir>/postgres.json` holds. `dir` is there only when the cluster lives outside dataDir. */
export type Identity = { port: number; passwords: Record<Role, string>; dir?: string };
export type Role = 'superuser' | 'owner' | 'runtime';

export type ClusterOptions = {
  dataDir: string;
  durable: boolean;
  binaries: string | undefined;
  fallbackDir: string;
};

/**
 * Finds or makes the cluster of a data folder. Safe to call from several processes at once and to be killed at
 * any point: the identity file and the data folder each appear complete or not at all.
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const root = process.getuid?.() === 0;
  const dataDir = makeDataDir(options.dataDir, root);
  let account = postgresAccount();
  const identity = readIdentity(dataDir) ?? createIdentity(dataDir, account, options.fallbackDir);
  const dir = identity.dir ?? path.join(dataDir, 'postgres');
  if (fs.existsSync(dir)) account = ownerOf(dir, account);
  if (!identity.dir && !reachable(dataDir, account)) {
    throw new Error(
      `user ${account.uid}, who runs Postgres for root, cannot reach ${dataDir}: chmod o+x its parents`,
    );
  }

  const copies = root ? options.fallbackDir : dataDir;
  const native = runnableBinaries(options.binaries ?? packagedBinaries(), account, copies);
  const bin = path.join(native, 'bin');
  if (!fs.existsSync(dir)) await initialise(dir, { bin, account, identity, durable: options.durable });
  const log_file = path.join(dataDir, 'postgres.log');
  return { dir, bin, account, settings: settingsFor(options.durable), log_file, identity };
}

function makeDataDir(wanted: string, root: boolean): string {
  const created = fs.mkdirSync(wanted, { recursive: true });
  // Root's Postgres runs as another user, who has to pass through this folder but need not list it.
  if (created) fs.chmodSync(wanted, root ? 0o711 : 0o700);
  return fs.realpathSync(wanted);
}

function readIdentity(dataDir: string): Identity | undefined {
  try {
    return JSON.parse(fs.readFileSync(path.join(dataDir, 'postgres.json'), 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function createIdentity(dataDir: string, account: Account, fallbackDir: string): Identity {
  const password = () => randomBytes(24).toString('base64url');
  const identity: Identity = {
    port: randomPort(),
    passwords: { superuser: password(), owner: password(), runtime: password() },
  };
  if (!reachable(dataDir, account)) identity.dir = path.join(fallbackDir, `postgres-${randomUUID()}`);

  const file = path.join(dataDir, 'postgres.json');
  const draft = `${file}.${randomUUID()}`;
  fs.writeFileSync(draft, JSON.stringify(identity, undefined, 2), { mode: 0o600, flush: true });
  try {
    // A link, unlike a rename, fails when another process has been first.
    fs.linkSync(draft, file);
    return identity;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return readIdentity(dataDir) ?? identity;
  } finally {
    fs.rmSync(draft);
  }
}

function reachable(folder: string, account: Account): boolean {
  if (account.uid === undefined) return true;
  const run = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], { ...account, cwd: '/' });
  if (!run.error) return run.status === 0;
  throw new Error(
    `cannot run Postgres as user ${account.uid}, and it refuses to run as root: start as another user or set DATABASE_URL`,
    { cause: run.error },
  );
}

/** A cluster stays with the user that it belongs to, unless it became root's (a copy, a restored backup). */
function ownerOf(dir: string, account: Account): Account {
  if (account.uid === undefined || account.gid === undefined) return account;
  const { uid, gid } = fs.statSync(dir);
  if (uid !== 0) return { uid, gid };
  for (const name of ['.', ...fs.readdirSync(dir, { recursive: true, encoding: 'utf8' })]) {
    fs.lchownSync(path.join(dir, name), account.uid, account.gid);
  }
  return account;
}

type Initialisation = Pick<Cluster, 'bin' | 'account' | 'identity'> & { durable: boolean };

async function initialise(dir: string, { bin, account, identity, durable }: Initialisation): Promise<void> {
  const draft = makeDraft(dir, 0o700);
  const [data, password] = [path.join(draft, 'data'), path.join(draft, 'password')];
  fs.writeFileSync(password, identity.passwords.superuser, { mode: 0o600 });
  if (account.uid !== undefined && account.gid !== undefined) {
    for (const file of [password, draft]) fs.chownSync(file, account.uid, account.gid);
  }
  const options = [
    ...['-D', data, '-U', 'postgres', `--pwfile=${password}`, '--auth=scram-sha-256', '--encoding=UTF8'],
    // The builtin provider sorts alike on every platform and with every libc.
    ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...(durable ? [] : ['--no-sync']),
  ];
  await promisify(execFile)(path.join(bin, 'initdb'), options, {
    ...account,
    cwd: '/',
    env: postgresEnvironment,
  });
  publishDraft(data, dir);
  fs.rmSync(draft, { recursive: true, force: true });
}

function settingsFor(durable: boolean): string[] {
  return [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    // Values of failed statements (addresses, token hashes) stay out of the log.
    'log_min_error_statement=panic',
    'log_error_verbosity=terse',
    ...(durable ? [] : ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off']),
  ];
}

/** Below the ports of outgoing connections, which could take ours while Postgres is down. */
export function randomPort(): number {
  return randomInt(15_000, 32_000);
}
