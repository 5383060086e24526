import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded } from '#src/database/embedded.ts';
import { isAlive } from '#src/database/embedded-binaries.ts';
import { migrate } from '#src/database/migrate.ts';
import { runStatements, type TestServer, testServerVariable, withDatabase } from './postgres.ts';

type Teardown = () => Promise<void>;

declare global {
  var tesseraTestTeardown: Teardown | undefined;
}

const folderName = /^tessera-test-(\d+)-/;

/**
 * Starts one PostgreSQL for the whole run, or uses the one of TEST_DATABASE_URL (version 15 or newer; a
 * superuser, or a role with CREATEDB and CREATEROLE), and prepares roles and a migrated template database.
 * Jest takes only a default export here.
 */
export default async function setUp(): Promise<void> {
  const external = process.env['TEST_DATABASE_URL'];
  const embedded = external ? undefined : await startServer();
  const server = describeServer(external ?? embedded!.url);

  globalThis.tesseraTestTeardown = async () => {
    globalThis.tesseraTestTeardown = undefined;
    await (embedded ? embedded.stop() : dropEverything(server));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => globalThis.tesseraTestTeardown?.().finally(() => process.exit(1)));
  }

  try {
    await prepare(server);
  } catch (error) {
    await globalThis.tesseraTestTeardown();
    throw error;
  }
  process.env[testServerVariable] = JSON.stringify(server);
}

async function startServer(): Promise<{ url: string; stop: Teardown }> {
  await removeAbandonedServers();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `tessera-test-${process.pid}-`));
  // Root's Postgres runs as another user, who has to pass through.
  fs.chmodSync(folder, 0o711);
  const embedded = await startEmbedded({ dataDir: path.join(folder, 'data'), durable: false });
  return {
    url: embedded.url('postgres', 'superuser'),
    async stop() {
      await embedded.stop();
      fs.rmSync(folder, { recursive: true });
    },
  };
}

/** A killed test run leaves its server running. */
async function removeAbandonedServers(): Promise<void> {
  for (const name of fs.readdirSync(os.tmpdir())) {
    const folder = path.join(os.tmpdir(), name);
    const pid = Number(folderName.exec(name)?.[1]);
    if (!pid || isAlive(pid) || fs.statSync(folder).uid !== os.userInfo().uid) continue;
    const dataDir = path.join(folder, 'data');
    if (fs.existsSync(path.join(dataDir, 'postgres/postmaster.pid'))) {
      await startEmbedded({ dataDir, durable: false }).then((embedded) => embedded.stop());
    }
    fs.rmSync(folder, { recursive: true });
  }
}

function describeServer(url: string): TestServer {
  const suffix = randomBytes(4).toString('hex');
  const superUrl = withDatabase(url, new URL(url).pathname.slice(1) || 'postgres');
  return {
    superUrl,
    ownerUrl: withLogin(superUrl, `test_owner_${suffix}`),
    runtimeUrl: withLogin(superUrl, `test_runtime_${suffix}`),
    template: `test_template_${suffix}`,
  };
}

function withLogin(url: string, user: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = randomBytes(16).toString('hex');
  return changed.href;
}

async function prepare({ superUrl, ownerUrl, runtimeUrl, template }: TestServer): Promise<void> {
  const [owner, runtime] = [new URL(ownerUrl), new URL(runtimeUrl)];
  await runStatements(superUrl, [
    `create role ${owner.username} login createdb createrole password '${owner.password}'`,
    `create role ${runtime.username} login password '${runtime.password}'`,
    // A superuser needs no membership; others need it to make databases for the owner and to end sessions.
    `grant ${owner.username}, ${runtime.username} to current_user`,
    `create database ${template} owner ${owner.username} template template0 encoding 'UTF8'`,
  ]);
  await migrate({ url: withDatabase(ownerUrl, template), runtimeRole: runtime.username });
  await runStatements(superUrl, [`alter database ${template} with allow_connections false`]);
}

async function dropEverything({ superUrl, ownerUrl, runtimeUrl }: TestServer): Promise<void> {
  const [owner, runtime] = [new URL(ownerUrl).username, new URL(runtimeUrl).username];
  const databases = await runStatements(superUrl, [
    `select datname as name from pg_database join pg_roles r on r.oid = datdba where rolname = '${owner}'`,
  ]);
  await runStatements(superUrl, [
    ...databases.map(({ name }) => `drop database ${name} with (force)`),
    `drop role if exists ${runtime}`,
    `drop role if exists ${owner}`,
  ]);
}
