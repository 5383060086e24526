// Runs examples/NAME/main.ts with a PostgreSQL that lives for this moment only: npm run example NAME
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbedded } from '#src/database/embedded.ts';

const examples = fileURLToPath(new URL('../examples', import.meta.url));
const mainOf = (name: string) => path.join(examples, name, 'main.ts');
const names = (await readdir(examples)).filter((name) => name !== 'orders-api' && existsSync(mainOf(name)));
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
const embedded = await startEmbedded({ dataDir: path.join(folder, 'data'), durable: false });
try {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', mainOf(name)], {
    stdio: 'inherit',
    env: { ...process.env, DATABASE_URL: embedded.url('tessera', 'owner') },
  });
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
} finally {
  await embedded.stop();
  await rm(folder, { recursive: true });
}
