import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from './server.ts';

/** Runs the tests, or those named, on a PostgreSQL 15 of Debian's packages: `npm run test:postgres-15 -- test/database`. */
const bin = process.env['POSTGRES_15_BIN'] ?? '/usr/lib/postgresql/15/bin';
const folder = mkdtempSync(path.join(tmpdir(), 'tessera-postgres-15-'));
const port = await freePort();
const root = process.getuid?.() === 0;
// PostgreSQL refuses to run as root.
const asPostgres = (command: string, args: string[]): [string, string[]] =>
  root ? ['runuser', ['-u', 'postgres', '--', command, ...args]] : [command, args];

function run(command: string, args: string[]) {
  const { status, stderr } = spawnSync(...asPostgres(path.join(bin, command), args), { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`${command} failed: ${stderr}`);
  }
}

function startPostgres(): ChildProcess {
  const settings = [
    'fsync=off',
    'full_page_writes=off',
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
  ];
  const args = [
    '-D',
    `${folder}/data`,
    '-p',
    String(port),
    ...settings.flatMap((setting) => ['-c', setting]),
  ];
  return spawn(...asPostgres(path.join(bin, 'postgres'), args), { stdio: 'ignore' });
}

async function waitUntilReady() {
  const ready = () =>
    spawnSync(path.join(bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)]).status === 0;
  for (let attempt = 0; !ready(); attempt++) {
    if (attempt === 100 || postgres.exitCode !== null) {
      throw new Error('PostgreSQL 15 did not start');
    }
    await wait(100);
  }
}

chmodSync(folder, 0o777);
run('initdb', [
  '-D',
  `${folder}/data`,
  '-U',
  'postgres',
  '-A',
  'trust',
  '--encoding',
  'UTF8',
  '--locale',
  'C.UTF-8',
]);
const postgres = startPostgres();
const stopped = once(postgres, 'exit');
try {
  await waitUntilReady();
  const tests = spawn('npm', ['test', '--', ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, TEST_DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres` },
  });
  const [code] = await once(tests, 'exit');
  process.exitCode = code ?? 1;
} finally {
  run('pg_ctl', ['-D', `${folder}/data`, '-m', 'immediate', 'stop']);
  await stopped;
  rmSync(folder, { recursive: true });
}
