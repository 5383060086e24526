// Writes db/schema.sql from the migrations, with a PostgreSQL that lives for this moment only.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { dumpSchema } from '#src/database/dump-schema.ts';
import { startEmbedded } from '#src/database/embedded.ts';
import { migrate } from '#src/database/migrate.ts';

const folder = await mkdtemp(path.join(os.tmpdir(), 'tessera-schema-'));
// Root's Postgres runs as another user, who has to pass through.
await chmod(folder, 0o711);
const embedded = await startEmbedded({ dataDir: path.join(folder, 'data'), durable: false });
try {
  const runtimeRole = new URL(embedded.url()).username;
  const url = embedded.url('tessera', 'owner');
  await migrate({ url, runtimeRole });
  const client = new pg.Client(url);
  await client.connect();
  await writeFile(new URL('../db/schema.sql', import.meta.url), await dumpSchema(client, runtimeRole));
  await client.end();
} finally {
  await embedded.stop();
  await rm(folder, { recursive: true });
}
