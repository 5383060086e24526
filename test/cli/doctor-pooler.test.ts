import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { detectPooling } from '#src/cli/doctor-pooler.ts';
import { eventually } from '#test/support/eventually.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';
import { freePort } from '#test/support/server.ts';

const places = [process.env['PGBOUNCER_PATH'], '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'];
const binary = places.find((place) => place && existsSync(place));
if (!binary) {
  const message = 'the tests with PgBouncer are left out: install it or set PGBOUNCER_PATH';
  if (process.env['CI']) {
    throw new Error(message);
  }
  process.stderr.write(`${message}\n`);
}

(binary ? describe : describe.skip)('finds out behind a real PgBouncer', () => {
  let database: TestDatabase;
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-pooler-'));

  beforeAll(async () => {
    chmodSync(folder, 0o755);
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['session', 5, { mode: 'session', prepared: true }],
    ['transaction', 5, { mode: 'transaction' }],
    ['transaction', 1, { mode: 'transaction' }],
    ['statement', 5, { mode: 'statement', prepared: false }],
  ])('%s mode with %d server connections [P-07]', async (mode, size, expected) => {
    const port = await freePort();
    const pooler = await startPooler(port, { mode, size });
    try {
      const url = new URL(database.runtimeUrl);
      url.port = String(port);
      expect(await detectPooling(url.href)).toMatchObject(expected);
    } finally {
      pooler.kill();
      await once(pooler, 'exit');
    }
  });

  async function startPooler(
    port: number,
    { mode, size }: { mode: string; size: number },
  ): Promise<ChildProcess> {
    const { hostname, port: serverPort, username, password, pathname } = new URL(database.runtimeUrl);
    const name = pathname.slice(1);
    const file = path.join(folder, `${port}.ini`);
    writeFileSync(
      file,
      `[databases]
${name} = host=${hostname} port=${serverPort} dbname=${name} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${size}
`,
    );
    // PgBouncer refuses to run as root.
    const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const child = spawn(binary!, [file], { ...account, stdio: 'ignore' });
    await eventually(async () => ((await answers(port)) ? true : undefined));
    return child;
  }
});

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
