import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from './eventually.ts';
import { freePort } from './server.ts';

const places = [process.env['PGBOUNCER_PATH'], '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'];

/** Finds an installed PgBouncer; says plainly that tests are left out without one, which with `CI` set is a failure. */
export function poolerPath(): string | undefined {
  const binary = places.find((place) => place && existsSync(place));
  if (!binary) {
    const message = 'the tests with PgBouncer are left out: install it or set PGBOUNCER_PATH';
    if (process.env['CI']) {
      throw new Error(message);
    }
    process.stderr.write(`${message}\n`);
  }
  return binary;
}

/** Starts a real PgBouncer in front of the database of this URL; gives the URL through it. */
export async function startPooler(
  databaseUrl: string,
  { mode, size }: { mode: string; size: number },
): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-pooler-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const url = new URL(databaseUrl);
  const name = url.pathname.slice(1);
  const file = path.join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
${name} = host=${url.hostname} port=${url.port} dbname=${name} user=${url.username} password=${url.password}
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
  const child = spawn(poolerPath()!, [file], { ...account, stdio: 'ignore' });
  const exited = once(child, 'exit');
  await eventually(async () => ((await answers(port)) ? true : undefined));
  url.port = String(port);
  return {
    url: url.href,
    async stop() {
      child.kill();
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
