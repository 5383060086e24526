import { types } from 'node:util';
import pino from 'pino';

/** The one logger: `log.info({ client_id }, 'what happened')`. A child carries its bindings to every line. */
export type Log = pino.Logger;

/** The level names that `makeLog` takes, the loudest last. */
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** Field names whose values never reach a log, however they are spelt: Set-Cookie, set_cookie, setCookie. */
export const redactedNames = [
  ...['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'dpop', 'x-api-key', 'api_key'],
  ...['password', 'password_hash', 'secret', 'client_secret', 'client_assertion', 'code', 'code_verifier'],
  ...['token', 'access_token', 'refresh_token', 'id_token', 'id_token_hint', 'logout_token'],
  ...['registration_access_token', 'device_code', 'user_code', 'request', 'request_uri'],
  ...['email', 'login_hint', 'detail'],
] as const;

/**
 * Makes the JSON logger: one line per event, ISO time, to standard error without blocking; the rest is
 * written when the process exits. `destination` takes the lines instead.
 *
 * Values under a redacted name are replaced at every depth, in fields, child bindings, errors and values put
 * into a message. The text of a message is not searched: put values in fields. Own code, since the paths
 * with wildcards that pino offers cost some fifteen times as much per line and tell spellings apart.
 */
export function makeLog(options: { level: string; destination?: pino.DestinationStream }): Log {
  const log = pino(
    {
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      // Errors have been turned into fields by then; the default would describe them anew.
      serializers: { err: (described) => described },
      hooks: {
        logMethod(args, method) {
          const [first, ...rest] = args;
          method.apply(this, [first, ...rest.map((value) => redact(value, 0))] as typeof args);
        },
      },
    },
    options.destination ?? pino.destination({ dest: 2, sync: false }),
  );

  // Children inherit this, and pino has no hook for their bindings.
  const child: ChildOf = log.child;
  const redactingChild: ChildOf = function (bindings, childOptions) {
    return child.call(this, redactFields(bindings), childOptions);
  };
  return Object.assign(log, { child: redactingChild });
}

type ChildOf = (this: Log, bindings: pino.Bindings, options?: pino.ChildLoggerOptions) => Log;

const maxDepth = 6;
const spelling = (name: string): string => name.replaceAll(/[-_]/g, '').toLowerCase();
const redacted: ReadonlySet<string> = new Set(redactedNames.map(spelling));

const redactFields = (fields: object) => redact(fields, 0) as Record<string, unknown>;

function redact(value: unknown, depth: number): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (depth > maxDepth) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));

  const isError = types.isNativeError(value);
  if (!isError && 'toJSON' in value && typeof value.toJSON === 'function') {
    return redact(value.toJSON(), depth + 1);
  }
  const result: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(isError ? describeError(value) : value)) {
    const hidden = redacted.has(spelling(name)) && !(isError && isErrorCode(name, field));
    result[name] = hidden && field !== undefined ? '[redacted]' : redact(field, depth + 1);
  }
  return result;
}

const describeError = (error: Error) => ({
  ...error,
  type: error.constructor.name,
  message: error.message,
  stack: error.stack,
  cause: error.cause,
  errors: (error as Partial<AggregateError>).errors,
});

// ECONNREFUSED, 23505, not_found: what an error calls itself, not an authorization code.
const isErrorCode = (name: string, field: unknown): boolean =>
  name === 'code' && typeof field === 'string' && /^(?:[0-9A-Z]{5}|[A-Za-z][A-Za-z0-9_]{2,39})$/.test(field);
