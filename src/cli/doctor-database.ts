import { MigrationError, pendingMigrations } from '#src/database/migrate.ts';
import type { OpenedDatabase } from '#src/database/open.ts';
import { checkRuntimeRole, checkTables, probeIsolation } from '#src/database/protection.ts';
import { openTransaction } from '#src/database/tenant.ts';
import { ensureServerSecrets } from '#src/domain/keys/server-secrets.ts';
import { readSigningKeys } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { SealError } from '#src/lib/master-key.ts';
import { describeError } from './describe-error.ts';
import type { Finding, Patient } from './doctor.ts';

/** The first release of each version without CVE-2025-8713, by which statistics tell of rows that a policy hides. */
const safeReleases = [150_014, 160_010, 170_006, 180_000];
const maxClockSkewSeconds = 60;

export async function checkConnection({ db }: OpenedDatabase): Promise<Finding> {
  try {
    await db.pool.query('select');
    return { status: 'ok', message: 'answers' };
  } catch (error) {
    const message = describeError(error);
    return /unsupported startup parameter/.test(message)
      ? {
          status: 'fail',
          message: `the pooler refuses the settings of a direct connection (${message}): add ?pgbouncer=true`,
          variable: 'DATABASE_URL',
        }
      : { status: 'fail', message: `cannot be used (${message})`, variable: 'DATABASE_URL' };
  }
}

export async function checkVersion({ db }: OpenedDatabase): Promise<Finding> {
  const { rows } = await db.pool.query<{ number: string; name: string }>(
    "select current_setting('server_version_num') as number, current_setting('server_version') as name",
  );
  return judgeVersion(Number(rows[0]!.number), rows[0]!.name);
}

/** Whether a release (as `server_version_num` and by its name) is one that the server may run on. */
export function judgeVersion(release: number, name: string): Finding {
  const floor = safeReleases.find((safe) => Math.floor(safe / 10_000) === Math.floor(release / 10_000));
  if (release < safeReleases[0]! && floor === undefined) {
    return {
      status: 'fail',
      message: `PostgreSQL ${name} is too old: 15.14 or later is needed`,
      variable: 'DATABASE_URL',
    };
  }
  if (floor !== undefined && release < floor) {
    const needed = `${Math.floor(floor / 10_000)}.${floor % 10_000}`;
    const message = `PostgreSQL ${name} lets statistics tell of hidden rows (CVE-2025-8713): upgrade to ${needed}`;
    return { status: 'fail', message, variable: 'DATABASE_URL' };
  }
  return { status: 'ok', message: `PostgreSQL ${name}` };
}

export async function checkClock({ db }: OpenedDatabase, { now }: Pick<Patient, 'now'>): Promise<Finding> {
  const { rows } = await db.pool.query<{ at: Date }>('select clock_timestamp() as at');
  const seconds = Math.round(Math.abs(rows[0]!.at.getTime() - now().getTime()) / 1000);
  return seconds > maxClockSkewSeconds
    ? {
        status: 'fail',
        message: `this machine and the database differ by ${seconds} seconds: set both by NTP`,
      }
    : { status: 'ok', message: 'this machine and the database agree' };
}

export async function checkRole({ db, runtimeRole }: OpenedDatabase): Promise<Finding> {
  const problems = await checkRuntimeRole(db);
  return problems.length === 0
    ? { status: 'ok', message: `${runtimeRole} sees what the policies let it see` }
    : { status: 'fail', message: problems.join('; '), variable: 'DATABASE_URL' };
}

export async function checkMigrations({ db, embeddedUrl }: OpenedDatabase): Promise<Finding> {
  try {
    const pending = await pendingMigrations(db.pool);
    return pending.length === 0
      ? { status: 'ok', message: 'the database is up to date' }
      : {
          status: 'fail',
          message: `the database lacks ${pending.join(', ')}: run tessera migrate`,
          ...(embeddedUrl ? {} : { variable: 'MIGRATION_DATABASE_URL' }),
        };
  } catch (error) {
    if (error instanceof MigrationError) {
      return { status: 'fail', message: error.message };
    }
    throw error;
  }
}

export async function checkTablePolicies({ db }: OpenedDatabase): Promise<Finding> {
  const problems = await checkTables(db);
  return problems.length === 0
    ? { status: 'ok', message: 'every table is protected' }
    : { status: 'fail', message: problems.join('; ') };
}

export async function checkIsolation({ db }: OpenedDatabase): Promise<Finding> {
  const problems = await probeIsolation(db);
  return problems.length === 0
    ? { status: 'ok', message: 'no tenant reaches the rows of another' }
    : { status: 'fail', message: problems.join('; ') };
}

/** Opens every signing key and server secret; the transaction is rolled back, so that nothing is made that is missing. */
export async function checkMasterKeys(
  { db, masterKeys }: OpenedDatabase,
  { now }: Pick<Patient, 'now'>,
): Promise<Finding> {
  const open = await openTransaction(db.pool, db.prepared, { tenant_id: platformTenantId });
  try {
    const { keys } = await readSigningKeys(open.tx(), masterKeys, now());
    await ensureServerSecrets(open.tx(), masterKeys);
    return {
      status: 'ok',
      message: keys.length === 0 ? 'nothing is sealed yet' : 'open the signing keys and server secrets',
    };
  } catch (error) {
    if (error instanceof SealError) {
      const message =
        error.code === 'unknown_master_key'
          ? 'a stored secret was sealed with another key: put the earlier keys behind the newest'
          : error.message;
      return { status: 'fail', message, variable: 'MASTER_KEYS' };
    }
    throw error;
  } finally {
    await open.rollback();
  }
}
