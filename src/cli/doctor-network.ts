import { Redis } from 'ioredis';
import { createTransport } from 'nodemailer';
import type { Config } from '#src/config.ts';
import { describeError } from './describe-error.ts';
import type { Finding } from './doctor.ts';

const patienceMs = 5_000;

/** Asks ISSUER for its discovery document, through whatever proxy stands before it. That nobody answers is a warning only. */
export async function checkIssuer({ issuer }: Pick<Config, 'issuer'>): Promise<Finding> {
  let response: Response;
  try {
    response = await fetch(`${issuer}/.well-known/openid-configuration`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(patienceMs),
    });
  } catch (error) {
    return {
      status: 'warn',
      message: `${issuer} cannot be reached from here (${describeError((error as Error).cause ?? error)})`,
      variable: 'ISSUER',
    };
  }
  const body = await response.text().catch(() => '');
  const problem = findResponseProblem(response, issuer);
  return (
    problem ?? findDocumentProblem(body, issuer) ?? { status: 'ok', message: `${issuer} answers as itself` }
  );
}

function findResponseProblem({ status, headers }: Response, issuer: string): Finding | undefined {
  if (status === 421) {
    const message = `${issuer} refuses its own name: the server runs with another ISSUER, or the proxy before it changes Host`;
    return { status: 'fail', message, variable: 'ISSUER' };
  }
  if (status >= 300 && status < 400) {
    return {
      status: 'fail',
      message: `${issuer} redirects to ${headers.get('location')}`,
      variable: 'ISSUER',
    };
  }
  return status === 200
    ? undefined
    : {
        status: 'fail',
        message: `${issuer} answers ${status} instead of its discovery document`,
        variable: 'ISSUER',
      };
}

function findDocumentProblem(body: string, issuer: string): Finding | undefined {
  const document = readObject(body);
  if (document?.['issuer'] !== issuer) {
    const given = typeof document?.['issuer'] === 'string' ? document['issuer'] : 'nobody we know';
    return { status: 'fail', message: `${issuer} answers as ${given.slice(0, 200)}`, variable: 'ISSUER' };
  }
  const elsewhere = Object.entries(document).find(
    ([name, value]) =>
      /(_endpoint|_uri)$/.test(name) &&
      typeof value === 'string' &&
      value !== issuer &&
      !value.startsWith(`${issuer}/`),
  );
  return (
    elsewhere && {
      status: 'fail',
      message: `${elsewhere[0]} is ${elsewhere[1]}, not below ${issuer}: the proxy is not trusted or rewrites Host`,
      variable: 'TRUSTED_PROXIES',
    }
  );
}

function readObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether REDIS_URL answers a ping; nothing to check without it. */
export async function checkRedis({ redisUrl }: Pick<Config, 'redisUrl'>): Promise<Finding | undefined> {
  if (!redisUrl) {
    return undefined;
  }
  const redis = new Redis(redisUrl.reveal(), {
    lazyConnect: true,
    connectTimeout: patienceMs,
    commandTimeout: patienceMs,
    maxRetriesPerRequest: 0,
    // It would ask a server that is still loading for ever.
    enableReadyCheck: false,
    retryStrategy: () => null,
  });
  let reason: unknown;
  redis.on('error', (error) => {
    reason = error;
  });
  try {
    await redis.connect();
    await redis.ping();
    return { status: 'ok', message: 'answers' };
  } catch (error) {
    return {
      status: 'fail',
      message: `cannot be used (${describeError(reason ?? error)})`,
      variable: 'REDIS_URL',
    };
  } finally {
    redis.disconnect();
  }
}

/** Whether SMTP_URL takes our login. Without it nothing is to be checked, but that in production no mail leaves. */
export async function checkSmtp({
  smtp,
  production,
}: Pick<Config, 'smtp' | 'production'>): Promise<Finding | undefined> {
  if (!smtp) {
    return production
      ? {
          status: 'warn',
          message: 'no mail is sent, not even about the safety of an account',
          variable: 'SMTP_URL',
        }
      : undefined;
  }
  const transport = createTransport({
    url: smtp.url.reveal(),
    connectionTimeout: patienceMs,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
  });
  try {
    await transport.verify();
    return { status: 'ok', message: 'answers' };
  } catch (error) {
    return { status: 'fail', message: `cannot be used (${describeError(error)})`, variable: 'SMTP_URL' };
  } finally {
    transport.close();
  }
}
