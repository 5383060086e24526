import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { logLevels, makeLog, redactedNames } from '#src/lib/log.ts';
import { makeSecret } from '#src/lib/secret.ts';

const makeRecorder = (level = 'trace') => {
  const lines: string[] = [];
  const log = makeLog({ level, destination: { write: (line) => void lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> };
};

test('writes one JSON line per event with level, ISO time, fields and message', () => {
  const { log, lines, last } = makeRecorder('info');
  log.info({ client_id: 'acme-web', status: 200 }, 'token issued');
  log.debug('not at this level');
  expect(lines).toHaveLength(1);
  expect(last()).toMatchObject({ level: 'info', client_id: 'acme-web', status: 200, msg: 'token issued' });
  expect(last()['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('keeps a line a line, whatever a value holds [A-192]', () => {
  const { log, lines, last } = makeRecorder();
  log.warn({ user_agent: 'a\r\n{"level":"info"}\u2028\u001b[31m' }, 'odd\nmessage');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd()).not.toMatch(/\p{Cc}/u);
  expect(last()['user_agent']).toBe('a\r\n{"level":"info"}\u2028\u001b[31m');
});

describe('redaction [A-191, 16.2.5]', () => {
  const spellings = (name: string) => {
    const camel = name.replaceAll(/[-_](.)/g, (_, letter: string) => letter.toUpperCase());
    return [name, name.toUpperCase(), camel];
  };

  test.each([
    ...['authorization', 'cookie', 'set-cookie', 'password', 'client_secret', 'client_assertion', 'code'],
    ...[
      'code_verifier',
      'refresh_token',
      'access_token',
      'id_token',
      'token',
      'request',
      'request_uri',
      'dpop',
    ],
    ...['secret', 'email'],
  ])('covers %s', (name) => {
    expect(redactedNames).toContain(name);
  });

  test.each(redactedNames.flatMap(spellings))('hides %s wherever it stands', (name) => {
    const { log, lines } = makeRecorder();
    const canary = 'canary-4711';
    const hidden = { [name]: canary };
    const error = Object.assign(
      new Error('failed', { cause: Object.assign(new Error('why'), hidden) }),
      hidden,
    );

    log.info(hidden);
    log.info({ a: hidden });
    log.info({ a: { b: hidden } });
    log.info({ a: { b: { c: hidden } } });
    log.info({ list: [hidden, [hidden]] });
    log.info({ [name]: [canary], a: { [name]: { deep: canary } } });
    log.info({ a: { toJSON: () => hidden } });
    log.info({ headers: hidden, err: error }, 'failed');
    log.error(error);
    log.error({ error, err: new AggregateError([error]) });
    log.info('with %j and %o', hidden, hidden);
    log.child(hidden).child({ a: hidden }).info('child');
    log.child({}, { level: 'info' }).child({ err: error }).info({ b: hidden }, 'grandchild');

    expect(lines).toHaveLength(13);
    expect(lines.filter((line) => line.includes(canary))).toEqual([]);
    expect(lines.filter((line) => !line.includes('[redacted]'))).toEqual([]);
  });

  test('shows neither a Secret nor bytes, and leaves what it was given unchanged', () => {
    const { log, last } = makeRecorder();
    const fields = { url: makeSecret('hunter2'), key: Buffer.from('hunter2'), body: { password: 'hunter2' } };
    log.info(fields);
    expect(last()).toMatchObject({ url: '[secret]', key: '[7 bytes]', body: { password: '[redacted]' } });
    expect(fields.body.password).toBe('hunter2');
  });

  test('hides no other name and says nothing of what is absent', () => {
    const { log, last } = makeRecorder();
    const fields = {
      token_type: 'Bearer',
      email_verified: true,
      request_id: 'r1',
      status_code: 200,
      at: new Date(0),
    };
    log.info({ ...fields, password: undefined });
    expect(last()).toMatchObject({ ...fields, at: '1970-01-01T00:00:00.000Z' });
    expect(last()).not.toHaveProperty('password');
  });

  test('ends for values that hold themselves', () => {
    const { log, lines } = makeRecorder();
    const loop: Record<string, unknown> = { password: 'hunter2' };
    loop['self'] = loop;
    const error: Error & { itself?: unknown } = new Error('loop');
    error.itself = error;
    log.info({ loop, err: error });
    expect(lines[0]).toContain('[deep]');
    expect(lines[0]).not.toContain('hunter2');
  });
});

describe('errors', () => {
  test('keep type, stack, cause and their own code, which is no authorization code', () => {
    const { log, last } = makeRecorder();
    const refused = Object.assign(new TypeError('connect'), { code: 'ECONNREFUSED', port: 5432 });
    log.error(new Error('no database', { cause: refused }));
    expect(last()).toMatchObject({
      msg: 'no database',
      err: {
        type: 'Error',
        stack: expect.stringContaining('log.test'),
        cause: { type: 'TypeError', code: 'ECONNREFUSED', port: 5432 },
      },
    });
    for (const code of ['23505', '42P01', 'ERR_JWKS_NO_MATCHING_KEY', 'not_found']) {
      log.error(Object.assign(new Error('x'), { code }));
      expect(last()['err']).toMatchObject({ code });
    }
    for (const code of ['123456', 'pX3-dQ7sT1bK9aZ', 'V1StGXR8Z5jdHi6BmyTV1StGXR8Z5jdHi6BmyTV1StG']) {
      log.error(Object.assign(new Error('x'), { code }));
      expect(last()['err']).toMatchObject({ code: '[redacted]' });
    }
  });

  test('hide the detail in which PostgreSQL quotes a row', () => {
    const { log, lines } = makeRecorder();
    log.error(
      Object.assign(new Error('duplicate key'), { code: '23505', detail: 'Key (email)=(a@example.com)' }),
    );
    expect(lines[0]).not.toContain('a@example.com');
  });
});

test('takes the levels that it lists', () => {
  for (const level of logLevels)
    expect(makeLog({ level, destination: { write: () => {} } }).level).toBe(level);
});

test('writes to standard error only, and all of it before the process exits', () => {
  const script = `
    const { makeLog } = await import('#src/lib/log.ts');
    const log = makeLog({ level: 'info' });
    for (let n = 0; n < 500; n++) log.info({ n }, 'line');
    process.exit(3);`;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  expect(child.status).toBe(3);
  expect(child.stdout).toBe('');
  const lines = child.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { n: number });
  expect(lines.map((line) => line.n)).toEqual(Array.from({ length: 500 }, (_, n) => n));
});
