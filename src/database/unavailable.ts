/** PostgreSQL classes that say "not now": connection, resources, operator, read-only, lock and statement time-outs. */
const passing = /^(08|53|57|25006|55P03|40001|40P01)/;
const network = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH']);

/** Whether the error means that the database is away or busy, so that the same request may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(typeof error === 'object' && error !== null)) {
    return false;
  }
  const { code, message, cause, errors } = error as {
    code?: unknown;
    message?: unknown;
    cause?: unknown;
    errors?: unknown[];
  };
  if (typeof code === 'string' && (passing.test(code) || network.has(code))) {
    return true;
  }
  if (typeof message === 'string' && /timeout|terminated|Connection/i.test(message) && code === undefined) {
    return true;
  }
  return isDatabaseUnavailable(cause) || (errors ?? []).some(isDatabaseUnavailable);
}
