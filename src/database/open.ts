import { open as openFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '#src/config.ts';
import type { Log } from '#src/lib/log.ts';
import { type MasterKey, makeMasterKeyText, parseMasterKeys } from '#src/lib/master-key.ts';
import { startEmbedded } from './embedded.ts';
import { MigrationError, migrate, pendingMigrations } from './migrate.ts';
import { type Database, makeDatabase } from './pool.ts';
import { isDatabaseUnavailable } from './unavailable.ts';

export interface OpenedDatabase {
  db: Database;
  masterKeys: readonly MasterKey[];
  runtimeUrl: string;
  runtimeRole: string;
  /** The migration owner, where one is known. */
  ownerUrl: string | undefined;
  /** Another database of the embedded server; undefined with a server of one's own. */
  embeddedUrl?: (database: string, role: 'owner' | 'runtime') => string;
  close(): Promise<void>;
}

/**
 * Opens the database of the configuration. The embedded one is started or joined, and migrated; a server is migrated when
 * MIGRATION_DATABASE_URL names its owner, and refused with the names of what it lacks otherwise (`migrations: 'ignore'` opens
 * it all the same, for the commands that mend it).
 */
export async function openDatabase(
  config: Config,
  log: Log,
  { migrations = 'apply' }: { migrations?: 'apply' | 'ignore' } = {},
): Promise<OpenedDatabase> {
  const opened =
    config.database.mode === 'embedded'
      ? await openEmbedded(config, log)
      : openServer(config, config.database, log);
  try {
    if (migrations === 'apply') {
      await bringUpToDate(opened, log);
    }
    return opened;
  } catch (error) {
    await opened.close();
    throw cannotBeUsed(error)
      ? new Error(`the database of ${nameUrl(opened)} cannot be used`, { cause: error })
      : error;
  }
}

/** Away, or a wrong password, role or database name: its message alone names no setting. */
function cannotBeUsed(error: unknown): boolean {
  return (
    isDatabaseUnavailable(error) || ['28000', '28P01', '3D000'].includes((error as { code: string }).code)
  );
}

function nameUrl({ ownerUrl, embeddedUrl }: OpenedDatabase): string {
  if (embeddedUrl) {
    return 'the data directory';
  }
  return ownerUrl === undefined ? 'DATABASE_URL' : 'MIGRATION_DATABASE_URL';
}

async function bringUpToDate({ db, ownerUrl, runtimeUrl, runtimeRole }: OpenedDatabase, log: Log) {
  if (ownerUrl !== undefined) {
    const runtimePassword = decodeURIComponent(new URL(runtimeUrl).password);
    const { applied } = await migrate({ url: ownerUrl, runtimeRole, runtimePassword });
    if (applied.length) {
      log.info({ applied }, 'database migrated');
    }
    return;
  }
  const pending = await pendingMigrations(db.pool);
  if (pending.length) {
    throw new MigrationError(
      `the database lacks ${pending.join(', ')}: run "tessera migrate" with MIGRATION_DATABASE_URL set to the owner of the tables`,
    );
  }
}

async function openEmbedded(config: Config, log: Log): Promise<OpenedDatabase> {
  const embedded = await startEmbedded({ dataDir: config.dataDir, log });
  const runtimeUrl = embedded.url();
  const db = makeDatabase({
    url: runtimeUrl,
    onError: (err) => log.warn({ err }, 'a database connection was lost'),
  });
  return {
    db,
    masterKeys: config.masterKeys ?? (await embeddedMasterKeys(config.dataDir)),
    runtimeUrl,
    runtimeRole: new URL(runtimeUrl).username,
    ownerUrl: embedded.url('tessera', 'owner'),
    embeddedUrl: (database, role) => embedded.url(database, role),
    async close() {
      await db.close();
      await embedded.stop();
    },
  };
}

function openServer(
  config: Config,
  server: Extract<Config['database'], { mode: 'server' }>,
  log: Log,
): OpenedDatabase {
  if (!config.masterKeys) {
    throw new Error(
      'MASTER_KEYS is required with a database server: what it seals must open again on every node',
    );
  }
  const runtimeUrl = server.url.reveal();
  const ownerUrl = server.migrationUrl.reveal();
  const db = makeDatabase({
    url: runtimeUrl,
    pgbouncer: server.pgbouncer,
    onError: (err) => log.warn({ err }, 'a database connection was lost'),
  });
  return {
    db,
    masterKeys: config.masterKeys,
    runtimeUrl,
    runtimeRole: decodeURIComponent(new URL(runtimeUrl).username),
    ownerUrl: ownerUrl === runtimeUrl ? undefined : ownerUrl,
    close: () => db.close(),
  };
}

/** The embedded default: one key, made once, in a file that only its owner reads. */
async function embeddedMasterKeys(dataDir: string): Promise<readonly MasterKey[]> {
  const file = path.join(dataDir, 'master-keys');
  try {
    const handle = await openFile(file, 'wx', 0o600);
    await handle.writeFile(`${makeMasterKeyText('embedded')}\n`);
    await handle.sync();
    await handle.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  }
  const parsed = parseMasterKeys((await readFile(file, 'utf8')).trim());
  if (!parsed.ok) {
    throw new Error(`${file} is not usable: ${parsed.problems.join('; ')}`);
  }
  return parsed.keys;
}
