// Runs examples/NAME/main.ts with all it needs, which lives for this moment only: npm run example NAME
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbedded } from '#src/database/embedded.ts';
import { startExampleServer } from './example-server.ts';

const examples = fileURLToPath(new URL('../examples', import.meta.url));
const mainOf = (name: string) => path.join(examples, name, 'main.ts');
const names = (await readdir(examples)).filter((name) => name !== 'orders-api' && existsSync(mainOf(name)));
/** These want a token, hence an issuer. */
const ofServer = ['drizzle', 'prisma'];

const name = process.argv[2];
if (!name || !names.includes(name)) {
  process.stderr.write(`npm run example NAME, where NAME is one of: ${names.join(', ')}\n`);
  process.exit(2);
}

const folder = await mkdtemp(path.join(os.tmpdir(), 'tessera-example-'));
// Root's Postgres runs as another user, who has to pass through.
await chmod(folder, 0o711);
// Ctrl-C ends the example, which has it too, and then what follows here.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
const dataDir = path.join(folder, 'data');
try {
  await (ofServer.includes(name) ? runForTenants(name) : runAlone(name));
} finally {
  await rm(folder, { recursive: true });
}

async function runAlone(name: string): Promise<void> {
  const embedded = await startEmbedded({ dataDir, durable: false });
  try {
    await run(name, { DATABASE_URL: embedded.url('tessera', 'owner') });
  } finally {
    await embedded.stop();
  }
}

async function runForTenants(name: string): Promise<void> {
  const server = await startExampleServer(dataDir);
  try {
    for (const { slug, environment } of server.tenants) {
      process.stdout.write(`${slug} places an order and sees:\n`);
      await run(name, environment, [`${slug} chair`, '12500']);
    }
  } finally {
    await server.stop();
  }
}

async function run(name: string, environment: NodeJS.ProcessEnv, args: string[] = []): Promise<void> {
  const command = ['--disable-warning=ExperimentalWarning', mainOf(name), ...args];
  const env = { ...process.env, ...environment };
  const [code] = await once(spawn(process.execPath, command, { stdio: 'inherit', env }), 'exit');
  if (code !== 0) process.exitCode = code ?? 1;
}
