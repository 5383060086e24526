import type { Config } from '#src/config.ts';
import type { OpenedDatabase } from '#src/database/open.ts';
import type { Paint } from '#src/lib/paint.ts';
import { describeError } from './describe-error.ts';
import {
  checkClock,
  checkConnection,
  checkIsolation,
  checkMasterKeys,
  checkMigrations,
  checkRole,
  checkTablePolicies,
  checkVersion,
} from './doctor-database.ts';
import { checkIssuer, checkRedis, checkSmtp } from './doctor-network.ts';
import { checkPooler } from './doctor-pooler.ts';
import { alignColumns, type Outcome } from './outcome.ts';

export interface Finding {
  status: 'ok' | 'warn' | 'fail';
  message: string;
  /** The environment variable to change. */
  variable?: string;
}

export interface Patient {
  config: Config;
  /** The database, or the reason why it could not be opened. */
  database: OpenedDatabase | Error;
  now: () => Date;
}

interface Check {
  name: string;
  /** Left out unless the checks of these names found nothing wrong. */
  after?: string[];
  /** Undefined when there is nothing to check. */
  run(patient: Patient): Promise<Finding | undefined>;
}

const withDatabase = (
  run: (opened: OpenedDatabase, patient: Patient) => Promise<Finding | undefined>,
): Check['run'] => {
  return async (patient) => {
    if (patient.database instanceof Error) {
      throw patient.database;
    }
    return run(patient.database, patient);
  };
};

/** In the order in which they run and are shown. */
const checks: readonly Check[] = [
  { name: 'issuer', run: ({ config }) => checkIssuer(config) },
  { name: 'pooler', run: withDatabase(checkPooler) },
  { name: 'database', run: withDatabase(checkConnection) },
  { name: 'version', after: ['database'], run: withDatabase(checkVersion) },
  { name: 'clock', after: ['database'], run: withDatabase(checkClock) },
  { name: 'role', after: ['database'], run: withDatabase(checkRole) },
  { name: 'migrations', after: ['database'], run: withDatabase(checkMigrations) },
  { name: 'tables', after: ['database', 'migrations'], run: withDatabase(checkTablePolicies) },
  { name: 'isolation', after: ['database', 'migrations'], run: withDatabase(checkIsolation) },
  { name: 'master_keys', after: ['database', 'migrations'], run: withDatabase(checkMasterKeys) },
  { name: 'redis', run: ({ config }) => checkRedis(config) },
  { name: 'smtp', run: ({ config }) => checkSmtp(config) },
];

/**
 * `tessera doctor`: checks the installation and names the variable to change. Changes nothing. A warning is something to know
 * of, a failure something to mend: it makes the outcome not ok.
 */
export async function doctor(patient: Patient): Promise<Outcome> {
  const findings: (Finding & { name: string })[] = [];
  for (const { name, after = [], run } of checks) {
    const missing = after.find((other) =>
      findings.some((finding) => finding.name === other && finding.status === 'fail'),
    );
    const finding = missing
      ? ({ status: 'warn', message: `not checked, since ${missing} failed` } as const)
      : await run(patient).catch((error): Finding => ({ status: 'fail', message: describeError(error) }));
    if (finding) {
      findings.push({ name, ...finding, message: withoutSecrets(finding.message, patient.config) });
    }
  }
  const ok = findings.every(({ status }) => status !== 'fail');
  return { ok, document: { ok, checks: findings }, text: (paint) => presentFindings(findings, paint) };
}

const signs = { ok: '✓', warn: '!', fail: '✗' };
const styles = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

function presentFindings(findings: (Finding & { name: string })[], paint: Paint): string {
  const lines = alignColumns(
    findings.map(({ name, message, variable }) => [name, variable ? `${message} (${variable})` : message]),
  );
  return findings
    .map(({ status }, index) => `${paint(styles[status], signs[status])} ${lines[index]}\n`)
    .join('');
}

/** Drivers quote what they were given; a password among it is not shown. */
function withoutSecrets(message: string, { database, redisUrl, smtp }: Config): string {
  const urls = [
    ...(database.mode === 'server' ? [database.url, database.migrationUrl] : []),
    ...(redisUrl ? [redisUrl] : []),
    ...(smtp ? [smtp.url] : []),
  ];
  return urls
    .map((url) => new URL(url.reveal()).password)
    .flatMap((password) => [password, decodeURIComponent(password)])
    .filter((password) => password.length > 3)
    .reduce((text, password) => text.replaceAll(password, '[secret]'), message);
}
