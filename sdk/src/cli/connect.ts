import type pg from 'pg';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { readCatalogue } from '../catalogue/read.ts';
import type { SchemaOptions } from '../options.ts';
import { CannotRun, UsageError } from './outcome.ts';

/** Milliseconds until a server that does not answer is given up. */
const connectTimeout = 10_000;

/**
 * Connects, calls `work`, and closes the connection whatever happens. Throws CannotRun that names host, port and
 * database, and never the password, when there is no connection; a UsageError for a URL that is none.
 */
export async function withClient<T>(
  url: string | undefined,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const address = checkUrl(url);
  const { default: driver } = await loadDriver();
  let client: pg.Client;
  try {
    client = new driver.Client({
      connectionString: address,
      connectionTimeoutMillis: connectTimeout,
      application_name: 'rls',
    });
  } catch {
    throw new UsageError(badUrl);
  }
  // A connection that is lost between two statements would end the process; the next statement tells of it.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => {});
    throw new CannotRun(describe(error, client));
  }
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** The catalogue, read at one moment in a transaction that cannot write. Throws CannotRun for options that do not fit. */
export async function readWhole(client: pg.Client, options: SchemaOptions): Promise<Catalogue> {
  await client.query('begin isolation level repeatable read read only');
  try {
    return await readCatalogue(client, options);
  } catch (error) {
    throw new CannotRun((error as Error).message);
  } finally {
    await client.query('rollback').catch(() => {});
  }
}

const badUrl =
  'the URL of the database must be like postgres://user:password@host:5432/database; write special characters of the password in percent form, # as %23';

function checkUrl(url: string | undefined): string {
  if (url === undefined || url === '') {
    throw new UsageError(
      'no database: give --url postgres://user:password@host:5432/database, or set DATABASE_URL',
    );
  }
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) throw new UsageError(badUrl);
  return url;
}

async function loadDriver(): Promise<{ default: typeof pg }> {
  try {
    return await import('pg');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new CannotRun('the package pg is not installed here; run: npm install pg');
  }
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there; is the server running?',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer in time',
  ECONNRESET: 'the server closed the connection',
  ENOENT: 'there is no such socket; is the server running?',
  '28P01': 'wrong user or password',
  '28000': 'the server does not let this user in from here',
  '3D000': 'there is no such database',
  '53300': 'the server has too many connections',
  '57P03': 'the server is starting up or shutting down',
};

function describe(error: unknown, { user, host, port, database, password }: pg.Client): string {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  const secret = typeof password === 'string' && password !== '' ? password : undefined;
  const detail = secret !== undefined && message.includes(secret) ? 'the connection failed' : message;
  const why =
    reasons[code] ??
    (/timeout/i.test(message) ? `no answer within ${connectTimeout / 1000} seconds` : undefined) ??
    (/password must be a string/.test(message)
      ? 'the server asks for a password, and the URL has none'
      : detail);
  return `cannot connect to database "${database}" on ${host}:${port} as "${user}": ${why}`;
}
