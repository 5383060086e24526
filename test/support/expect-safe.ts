import { expect } from '@jest/globals';
import { runStatements } from './postgres.ts';

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
}

const stack = /\n\s+at .+:\d+:\d+|node_modules|node:internal|file:\/\/\//;
const sqlText =
  /\b(protocol_store|signing_keys|server_secrets|client_secrets|row-level security|SQLSTATE|violates \S+ constraint|syntax error at|invalid byte sequence)\b/i;

/**
 * What every answer must be, whatever was sent: none of the server's own failures, nothing of its inside, and the security
 * headers of its kind.
 */
export function expectSafe({ status, headers, body }: Answer): void {
  expect(status).toBeLessThan(500);
  expect(body).not.toMatch(stack);
  expect(body).not.toMatch(sqlText);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(headers.get('x-powered-by')).toBeNull();
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe-inline');
  if (headers.get('content-type')?.startsWith('text/html') || status >= 400) {
    expect(headers.get('cache-control')).toContain('no-store');
  }
}

/** A refusal of a machine: safe, of this status and OAuth error, and without a token in it. */
export function expectRefusal(
  answer: Answer,
  { status, error }: { status: number | number[]; error: string | string[] },
): void {
  expectSafe(answer);
  const refusal = JSON.parse(answer.body);
  expect({ allowed: [status].flat(), body: answer.body }).toEqual({
    allowed: expect.arrayContaining([answer.status]),
    body: answer.body,
  });
  expect([error].flat()).toContain(refusal.error);
  expect(Object.keys(refusal).filter((name) => !['error_description', 'scope'].includes(name))).toEqual([
    'error',
  ]);
}

const fingerprintTable = (name: string, rows = name) =>
  `select '${name}' as name, count(*)::int as rows, md5(string_agg(t::text, ',' order by t::text)) as hash from ${rows} t`;

/** Where a part of a table is what a refused request may leave behind: the rows to compare. */
const lastingRows: Record<string, string> = {
  // It may spend its own proofs and assertions.
  protocol_store: `(select * from protocol_store where model <> 'ReplayDetection')`,
  // A wrong password counts, and a right one is noted before another field is refused.
  users: `(select to_jsonb(users) - '{failed_login_attempts,failed_device_attempts,locked_until,last_login_at,last_login_ip}'::text[] from users)`,
  known_devices: '(select from known_devices where false)',
  // The owner of an account hears of what was tried.
  mails: '(select from mails where false)',
  // They count refusals.
  rate_limits: '(select from rate_limits where false)',
};

/** A picture of everything stored, to be equal before and after a refusal, but for what a refused request may leave behind. */
export async function fingerprintDatabase({ superUrl }: { superUrl: string }): Promise<unknown> {
  const tables = await runStatements(superUrl, [
    `select tablename as name from pg_tables where schemaname = 'public' order by tablename`,
  ]);
  return runStatements(superUrl, [
    tables.map(({ name }) => fingerprintTable(String(name), lastingRows[String(name)])).join(' union all '),
  ]);
}

/** Runs `work` and holds that nothing stored has changed. */
export async function expectUnchanged<T>(
  { urls }: { urls: { superUrl: string } },
  work: () => Promise<T>,
): Promise<T> {
  const before = await fingerprintDatabase(urls);
  const result = await work();
  expect(await fingerprintDatabase(urls)).toEqual(before);
  return result;
}

/** What someone could tell two answers apart by: all of it, but for what is new in every answer anyway. */
export function comparable({ status, headers, body }: Answer) {
  const fresh = [
    headers.get('x-request-id'),
    /'nonce-([^']+)'/.exec(headers.get('content-security-policy') ?? '')?.[1],
  ];
  const settle = (text: string) =>
    fresh.reduce<string>((settled, value) => (value ? settled.replaceAll(value, 'fresh') : settled), text);
  return {
    status,
    headers: [...headers.entries()].map(([name, value]) =>
      ['content-length', 'date'].includes(name) ? name : `${name}: ${settle(value)}`,
    ),
    body: settle(body),
  };
}
