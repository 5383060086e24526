import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { type Embedded, type EmbeddedOptions, startEmbedded } from '#src/database/embedded.ts';
import { makeDraft, packagedBinaries, runnableBinaries } from '#src/database/embedded-binaries.ts';
import { runStatements } from '#test/support/postgres.ts';

const asRoot = process.getuid?.() === 0 ? test : test.skip;
const folders: string[] = [];
const running: Embedded[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const embedded of running.splice(0)) await embedded.stop();
});

afterAll(() => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true });
});

describe('one process', () => {
  test('keeps rows, passwords and port over a stop and a start', async () => {
    const dataDir = makeDataDir();
    const first = await start({ dataDir });
    await writeRow(first, 'kept');
    await first.stop();
    expect(postmasterPid(dataDir)).toBeUndefined();

    const second = await start({ dataDir });
    expect(await readRows(second)).toEqual(['kept']);
    expect(second.url()).toBe(first.url());
  });

  test('gives the runtime role nothing but a login, and an owner that is no superuser', async () => {
    const dataDir = makeDataDir();
    const embedded = await start({ dataDir });
    const roles = await runStatements(embedded.url('postgres', 'superuser'), [
      `select rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolpassword like 'SCRAM-SHA-256$%' as scram
      from pg_authid where rolcanlogin order by rolname`,
    ]);
    const nothing = {
      rolsuper: false,
      rolbypassrls: false,
      rolcreatedb: false,
      rolcreaterole: false,
      scram: true,
    };
    expect(roles).toEqual([
      {
        rolname: 'postgres',
        rolsuper: true,
        rolbypassrls: true,
        rolcreatedb: true,
        rolcreaterole: true,
        scram: true,
      },
      { rolname: 'tessera', ...nothing },
      { rolname: 'tessera_owner', ...nothing, rolcreatedb: true, rolcreaterole: true },
    ]);
    await expect(runStatements(embedded.url(), ['create table public.mine ()'])).rejects.toMatchObject({
      code: '42501',
    });
    expect(fs.statSync(path.join(dataDir, 'postgres.json')).mode & 0o777).toBe(0o600);
    expect(fs.statSync(path.join(dataDir, 'postgres')).mode & 0o777).toBe(0o700);
  });

  test('refuses a wrong password and listens on the loopback address only', async () => {
    const embedded = await start({ dataDir: makeDataDir() });
    const wrong = new URL(embedded.url());
    wrong.password = 'wrong';
    await expect(runStatements(wrong.href, ['select 1'])).rejects.toMatchObject({ code: '28P01' });
    const settings = await runStatements(embedded.url('postgres', 'superuser'), [
      "select setting from pg_settings where name in ('listen_addresses', 'unix_socket_directories') order by name",
    ]);
    expect(settings).toEqual([{ setting: '127.0.0.1' }, { setting: '' }]);
  });

  test('says so when the password file is not the one of the cluster', async () => {
    const [dataDir, other] = [makeDataDir(), makeDataDir()];
    for (const folder of [dataDir, other]) await (await start({ dataDir: folder })).stop();
    fs.copyFileSync(path.join(other, 'postgres.json'), path.join(dataDir, 'postgres.json'));
    await expect(startEmbedded({ dataDir })).rejects.toThrow(/postgres\.json does not hold the password/);
    expect(postmasterPid(dataDir)).toBeUndefined();
  });
});

describe('several processes', () => {
  test('joins a running server, and only the last to leave shuts it down', async () => {
    const dataDir = makeDataDir();
    const first = await start({ dataDir });
    const pid = postmasterPid(dataDir);
    const second = await start({ dataDir });
    expect(second.port).toBe(first.port);
    await first.stop();
    expect(postmasterPid(dataDir)).toBe(pid);
    await second.stop();
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test('leaves nothing running when all holders leave at once', async () => {
    const dataDir = makeDataDir();
    const holders = await Promise.all([1, 2, 3].map(() => start({ dataDir })));
    await Promise.all(holders.map((holder) => holder.stop()));
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test('comes up once for several processes that make the first start, and goes with the last of them', async () => {
    const dataDir = makeDataDir();
    const starters = await Promise.all([1, 2, 3].map(() => startInChild(dataDir)));
    expect(new Set(starters.map(({ port }) => port)).size).toBe(1);
    const log = fs.readFileSync(path.join(dataDir, 'postgres.log'), 'utf8');
    expect(log.match(/database system is ready/g)).toHaveLength(1);
    await Promise.all(starters.map(({ child }) => kill(child, 'SIGTERM')));
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test('starts again when it came while the last holder shut down', async () => {
    const dataDir = makeDataDir();
    const first = await start({ dataDir });
    await writeRow(first, 'kept');
    const [second] = await Promise.all([start({ dataDir }), first.stop()]);
    expect(await readRows(second)).toEqual(['kept']);
  });
});

describe('killed with SIGKILL', () => {
  test('brings a killed postmaster back on the same port with its rows', async () => {
    const dataDir = makeDataDir();
    const { log, back } = listenForReturn();
    const embedded = await start({ dataDir, log, durable: true });
    await writeRow(embedded, 'committed');
    const killed = postmasterPid(dataDir)!;
    process.kill(killed, 'SIGKILL');
    await back;
    expect(await readRows(embedded)).toEqual(['committed']);
    expect(postmasterPid(dataDir)).not.toBe(killed);
    await embedded.stop();
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test('holds on when Postgres ends all sessions because one of its processes was killed', async () => {
    const dataDir = makeDataDir();
    const { log, back } = listenForReturn();
    const embedded = await start({ dataDir, log });
    const pid = postmasterPid(dataDir);
    const url = embedded.url('postgres', 'superuser');
    const [backend] = await runStatements(url, [
      "select pid from pg_stat_activity where application_name like 'holder %'",
    ]);
    process.kill(Number(backend!['pid']), 'SIGKILL');
    await back;
    expect(postmasterPid(dataDir)).toBe(pid);
    await embedded.stop();
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test('joins the server that a killed process left running', async () => {
    const dataDir = makeDataDir();
    const { child } = await startInChild(dataDir, keepInChild(2));
    const pid = postmasterPid(dataDir);
    await kill(child);
    const embedded = await start({ dataDir });
    expect(postmasterPid(dataDir)).toBe(pid);
    expect(await runStatements(embedded.url('tessera', 'owner'), ['select n from kept'])).toEqual([{ n: 2 }]);
    await embedded.stop();
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test('recovers when process and postmaster are both killed', async () => {
    const dataDir = makeDataDir();
    const { child } = await startInChild(dataDir, keepInChild(3));
    await kill(child);
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    const embedded = await start({ dataDir });
    expect(await runStatements(embedded.url('tessera', 'owner'), ['select n from kept'])).toEqual([{ n: 3 }]);
  });

  test('starts afresh after a kill in the middle of initdb', async () => {
    const dataDir = makeDataDir();
    fs.mkdirSync(dataDir);
    fs.chmodSync(dataDir, 0o711);
    const child = spawnStarter(dataDir);
    for await (const { filename } of fs.promises.watch(dataDir, { recursive: true })) {
      if (filename?.includes('pg_control')) break;
    }
    await kill(child);
    expect(fs.existsSync(path.join(dataDir, 'postgres'))).toBe(false);
    const embedded = await start({ dataDir });
    expect(await runStatements(embedded.url(), ['select 1 as one'])).toEqual([{ one: 1 }]);
    expect(fs.readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres.json', 'postgres.log']);
  });

  test('removes the draft of a dead process while its orphan still writes there', async () => {
    const dataDir = makeDataDir();
    const dead = spawn('true');
    await once(dead, 'exit');
    const draft = path.join(dataDir, `postgres.draft-${dead.pid}-x`);
    fs.mkdirSync(draft, { recursive: true });
    for (let file = 0; file < 300; file += 1) fs.writeFileSync(path.join(draft, `kept-${file}`), '');
    const writes = 'cd "$1"; echo begun; while echo > $((n += 1)); do mv $n renamed-$n; done';
    const orphan = spawn('/bin/sh', ['-c', writes, 'sh', draft], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(orphan);
    await once(orphan.stdout, 'data');
    const made = makeDraft(path.join(dataDir, 'postgres'), 0o700);
    expect(fs.readdirSync(dataDir)).toEqual([path.basename(made)]);
  });

  test('is not fooled by a stale postmaster.pid whose id now belongs to another process', async () => {
    const dataDir = makeDataDir();
    const first = await start({ dataDir });
    const file = path.join(dataDir, 'postgres/postmaster.pid');
    const text = fs.readFileSync(file, 'utf8');
    await first.stop();
    fs.writeFileSync(file, text.replace(/^\d+/, String(process.pid)));
    const second = await start({ dataDir });
    expect(await runStatements(second.url(), ['select 1 as one'])).toEqual([{ one: 1 }]);
  });
});

describe('binaries and folders', () => {
  test('makes the library links that an install without scripts leaves out', async () => {
    const binaries = copyNative(makeFolder(0o755), (file) => !fs.lstatSync(file).isSymbolicLink());
    const embedded = await start({ dataDir: makeDataDir(), binaries });
    expect(await runStatements(embedded.url(), ['select 1 as one'])).toEqual([{ one: 1 }]);
  });

  asRoot(
    'works from a checkout that the user of Postgres cannot enter, and reuses what it copied',
    async () => {
      const [home, fallbackDir] = [makeFolder(0o700), path.join(makeFolder(0o755), 'fallback')];
      const options = {
        dataDir: path.join(home, '.data'),
        binaries: copyNative(home, () => true),
        fallbackDir,
      };
      const first = await start(options);
      await writeRow(first, 'kept');
      await first.stop();
      const copied = fs.readdirSync(fallbackDir).sort();
      expect(copied).toEqual([
        expect.stringMatching(/^binaries-[0-9a-f]{16}$/),
        expect.stringMatching(/^postgres-[0-9a-f-]{36}$/),
      ]);
      expect(fs.statSync(path.join(fallbackDir, copied[0]!, 'bin/postgres'))).toMatchObject({
        uid: 0,
        mode: 0o100755,
      });
      expect(fs.statSync(path.join(fallbackDir, copied[1]!)).mode & 0o777).toBe(0o700);

      const second = await start(options);
      expect(await readRows(second)).toEqual(['kept']);
      expect(fs.readdirSync(fallbackDir).sort()).toEqual(copied);
    },
  );

  test('names DATABASE_URL on a platform without a package', () => {
    expect(() => packagedBinaries('linux-riscv64')).toThrow(
      /no embedded Postgres for linux-riscv64 .*DATABASE_URL/,
    );
  });

  test('names DATABASE_URL when the binaries cannot run, as on a system with another libc', () => {
    const native = makeFolder(0o755);
    fs.writeFileSync(path.join(native, 'pg-symlinks.json'), '[]');
    fs.mkdirSync(path.join(native, 'bin'));
    fs.writeFileSync(path.join(native, 'bin/postgres'), '#!/no/such/loader\n', { mode: 0o755 });
    expect(() => runnableBinaries(native, {}, native)).toThrow(/cannot run here .*DATABASE_URL/);
  });
});

function makeFolder(mode: number): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tessera-embedded-'));
  fs.chmodSync(folder, mode);
  folders.push(folder);
  return folder;
}

function makeDataDir(): string {
  return path.join(makeFolder(0o711), 'data');
}

function copyNative(folder: string, filter: (file: string) => boolean): string {
  const copy = path.join(folder, 'native');
  fs.cpSync(packagedBinaries(), copy, { recursive: true, verbatimSymlinks: true, filter });
  return copy;
}

async function start(options: EmbeddedOptions): Promise<Embedded> {
  const embedded = await startEmbedded({ durable: false, ...options });
  running.push(embedded);
  return embedded;
}

/** A process that starts the database, runs `work` with a client of the owner, tells its port and stays until SIGTERM. */
function spawnStarter(dataDir: string, work = ''): ChildProcess {
  const program = `
    import pg from 'pg';
    import { startEmbedded } from '#src/database/embedded.ts';
    const embedded = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)} });
    const client = new pg.Client(embedded.url('tessera', 'owner'));
    await client.connect();
    ${work}
    await client.end();
    process.once('SIGTERM', () => embedded.stop());
    console.log(embedded.port);
  `;
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function startInChild(dataDir: string, work?: string): Promise<{ child: ChildProcess; port: number }> {
  const child = spawnStarter(dataDir, work);
  for await (const line of createInterface(child.stdout!)) return { child, port: Number(line) };
  throw new Error('the process ended before it had started the database');
}

function keepInChild(n: number): string {
  return `await client.query('create table kept as select ${n} as n');`;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

function listenForReturn() {
  const events = new EventEmitter();
  const note = (_fields: unknown, message?: string) => void events.emit(String(message));
  return { log: { info: note, warn: note }, back: once(events, 'embedded Postgres is back') };
}

function postmasterPid(dataDir: string): number | undefined {
  const file = path.join(dataDir, 'postgres/postmaster.pid');
  return fs.existsSync(file) ? Number.parseInt(fs.readFileSync(file, 'utf8'), 10) : undefined;
}

async function writeRow(embedded: Embedded, word: string): Promise<void> {
  await runStatements(embedded.url('tessera', 'owner'), [
    'create table if not exists words (word text)',
    `insert into words values ('${word}')`,
  ]);
}

async function readRows(embedded: Embedded): Promise<unknown[]> {
  const rows = await runStatements(embedded.url('tessera', 'owner'), ['select word from words']);
  return rows.map(({ word }) => word);
}
