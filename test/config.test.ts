import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ConfigError, configVariables, readConfig, secretVariables } from '#src/config.ts';
import { makeMasterKeyText } from '#src/lib/master-key.ts';

const production = {
  NODE_ENV: 'production',
  ISSUER: 'https://id.example.com',
  DATABASE_URL: 'postgres://app:hunter2@db.example.com/tessera?sslmode=verify-full',
  MASTER_KEYS: makeMasterKeyText('k1'),
};
const folder = mkdtempSync(join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fileWith = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const problemsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

test('runs with nothing set: embedded database, demo, loopback', () => {
  expect(readConfig({})).toEqual({
    port: 3000,
    metricsPort: undefined,
    host: '127.0.0.1',
    issuer: 'http://localhost:3000',
    production: false,
    dataDir: '.data',
    demo: true,
    logLevel: 'warn',
    database: { mode: 'embedded' },
    redisUrl: undefined,
    rateLimits: {},
    masterKeys: undefined,
    passwordPeppers: [],
    smtp: undefined,
    trustedProxies: [],
    outboundAllow: { hosts: [], cidrs: [] },
  });
});

test('reads every variable', () => {
  const config = readConfig({
    ...production,
    PORT: '0',
    METRICS_PORT: '9464',
    HOST: '::1',
    DATABASE_URL: 'postgresql://app:pw@localhost/tessera?pgbouncer=true',
    MIGRATION_DATABASE_URL: 'postgres://owner:pw@127.0.0.1/tessera',
    REDIS_URL: 'rediss://redis.example.com',
    RATE_LIMITS: 'sign_in=6/10m, token_client=600/30s',
    SMTP_URL: 'smtp://mail.example.com?requireTLS=true',
    MAIL_FROM: 'Tessera <no-reply@example.com>',
    TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    OUTBOUND_ALLOW: 'Hooks.internal,10.1.0.0/16',
    LOG_LEVEL: 'debug',
    PASSWORD_PEPPERS: `${makeMasterKeyText('p2')},${makeMasterKeyText('p1')}`,
    TESSERA_DATA_DIR: '/var/lib/tessera',
  });
  expect(config).toMatchObject({ port: 0, host: '::1', issuer: 'https://id.example.com', production: true });
  expect(config.metricsPort).toBe(9464);
  expect(config).toMatchObject({ demo: false, logLevel: 'debug', dataDir: '/var/lib/tessera' });
  if (config.database.mode !== 'server') throw new Error('expected a server');
  expect(config.database.pgbouncer).toBe(true);
  expect(config.database.url.reveal()).toBe('postgresql://app:pw@localhost/tessera?pgbouncer=true');
  expect(config.database.migrationUrl.reveal()).toBe('postgres://owner:pw@127.0.0.1/tessera');
  expect(config.redisUrl?.reveal()).toBe('rediss://redis.example.com');
  expect(config.rateLimits).toEqual({
    sign_in: { points: 6, seconds: 600 },
    token_client: { points: 600, seconds: 30 },
  });
  expect(config.smtp?.from).toBe('Tessera <no-reply@example.com>');
  expect(config.masterKeys?.map((key) => key.id)).toEqual(['k1']);
  expect(config.passwordPeppers.map((pepper) => pepper.id)).toEqual(['p2', 'p1']);
  expect(config.trustedProxies.map(([address, bits]) => `${address}/${bits}`)).toEqual([
    '10.0.0.0/8',
    '::1/128',
  ]);
  expect(config.outboundAllow.hosts).toEqual(['hooks.internal']);
  expect(config.outboundAllow.cidrs.map(([address, bits]) => `${address}/${bits}`)).toEqual(['10.1.0.0/16']);
});

test('follows the port in the default issuer and listens everywhere in production', () => {
  expect(readConfig({ PORT: '8080' }).issuer).toBe('http://localhost:8080');
  expect(readConfig(production).host).toBe('0.0.0.0');
});

test('takes the migration role from DATABASE_URL when no other is given', () => {
  const { database } = readConfig({ DATABASE_URL: 'postgres://app@db/tessera' });
  expect(database.mode === 'server' && database.migrationUrl.reveal()).toBe('postgres://app@db/tessera');
  expect(database.mode === 'server' && database.pgbouncer).toBe(false);
});

test('does not give metrics on the port of the public', () => {
  const problem = [expect.stringMatching(/^METRICS_PORT: is the port of the public/)];
  expect(problemsOf({ PORT: '8080', METRICS_PORT: '8080' })).toEqual(problem);
  expect(problemsOf({ METRICS_PORT: '3000' })).toEqual(problem);
  expect(problemsOf({ PORT: '0', METRICS_PORT: '0' })).toEqual([]);
});

test('makes the demo by default only with the embedded database', () => {
  expect(readConfig({ DATABASE_URL: 'postgres://app@db/tessera' }).demo).toBe(false);
  expect(readConfig({ DATABASE_URL: 'postgres://app@db/tessera', TESSERA_DEMO: 'on' }).demo).toBe(true);
  expect(readConfig({ TESSERA_DEMO: 'off' }).demo).toBe(false);
});

test('counts an empty value as absent', () => {
  expect(readConfig({ PORT: '', ISSUER: '', TESSERA_DEMO: '', TESSERA_OTHER: '' })).toEqual(readConfig({}));
  expect(problemsOf({ ...production, MASTER_KEYS: '' })).toHaveLength(1);
});

test('is frozen all the way down', () => {
  const config = readConfig({ ...production, OUTBOUND_ALLOW: 'a.example', TRUSTED_PROXIES: '::1' });
  const parts = [config, config.database, config.masterKeys, config.masterKeys?.[0], config.outboundAllow];
  for (const part of [
    ...parts,
    config.outboundAllow.hosts,
    config.trustedProxies,
    config.trustedProxies[0],
  ]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});

test('prints no secret, neither in a config nor in an error [16.2.5]', () => {
  const config = readConfig({ ...production, REDIS_URL: 'rediss://:hunter2@redis.example.com' });
  const [, key] = production.MASTER_KEYS.split(':');
  for (const text of [inspect(config, { depth: 9 }), JSON.stringify(config), String(config.redisUrl)]) {
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(key);
  }
  const broken = {
    DATABASE_URL: 'mysql://app:hunter2@db',
    REDIS_URL: 'hunter2',
    MASTER_KEYS: `${key},k2:hunter2`,
    PASSWORD_PEPPERS: `${key},p2:hunter2`,
  };
  expect(problemsOf(broken)).toHaveLength(4);
  expect(problemsOf(broken).join()).not.toMatch(/hunter2/);
  expect(problemsOf(broken).join()).not.toContain(key);
});

test('reports all problems together, one line each, led by the variable [F-21]', () => {
  const problems = problemsOf({
    PORT: '70000',
    METRICS_PORT: '-1',
    HOST: 'a b',
    ISSUER: 'id.example.com',
    NODE_ENV: 'prod',
    DATABASE_URL: 'db',
    REDIS_URL: 'http://redis',
    SMTP_URL: 'mail',
    MASTER_KEYS: 'abc',
    PASSWORD_PEPPERS: 'abc',
    TRUSTED_PROXIES: 'proxy',
    OUTBOUND_ALLOW: 'http://a',
    LOG_LEVEL: 'loud',
    TESSERA_DEMO: 'yes',
    TESSERA_DEMOS: 'on',
  });
  const names = problems.map((line) => line.split(':')[0]).sort();
  expect(names).toEqual(
    ['DATABASE_URL', 'HOST', 'ISSUER', 'LOG_LEVEL', 'MAIL_FROM', 'MASTER_KEYS', 'METRICS_PORT', 'NODE_ENV']
      .concat([
        'OUTBOUND_ALLOW',
        'PASSWORD_PEPPERS',
        'PORT',
        'REDIS_URL',
        'SMTP_URL',
        'TESSERA_DEMO',
        'TESSERA_DEMOS',
        'TRUSTED_PROXIES',
      ])
      .sort(),
  );
  expect(new ConfigError(problems).message.split('\n')).toHaveLength(problems.length + 1);
});

test('refuses unknown names of its own prefix, and says where Kubernetes made one', () => {
  expect(problemsOf({ TESSERA_DATADIR: 'x' })).toEqual([
    expect.stringMatching(/^TESSERA_DATADIR: .*TESSERA_DATA_DIR/),
  ]);
  expect(problemsOf({ TESSERA_SERVICE_HOST: '10.0.0.1' }).join()).toContain('enableServiceLinks');
});

describe('secrets from files', () => {
  test('reads each secret from NAME_FILE, without surrounding blanks', () => {
    const values: Record<string, string> = {
      DATABASE_URL: 'postgres://app@localhost/a',
      MIGRATION_DATABASE_URL: 'postgres://owner@localhost/a',
      REDIS_URL: 'redis://localhost',
      MASTER_KEYS: `${makeMasterKeyText('new')}\n${makeMasterKeyText('old')}`,
      PASSWORD_PEPPERS: makeMasterKeyText('pepper'),
      SMTP_URL: 'smtp://localhost',
    };
    const files = secretVariables.map((name) => [`${name}_FILE`, fileWith(name, `${values[name]}\n`)]);
    const config = readConfig({ ...Object.fromEntries(files), MAIL_FROM: 'a@example.com' });
    expect(config.database.mode === 'server' && config.database.url.reveal()).toBe(values['DATABASE_URL']);
    expect(config.database.mode === 'server' && config.database.migrationUrl.reveal()).toContain('owner');
    expect(config.redisUrl?.reveal()).toBe('redis://localhost');
    expect(config.masterKeys?.map((key) => key.id)).toEqual(['new', 'old']);
    expect(config.passwordPeppers.map((pepper) => pepper.id)).toEqual(['pepper']);
    expect(config.smtp?.url.reveal()).toBe('smtp://localhost');
  });

  test('refuses a secret given twice, an unreadable file and an empty one, each once', () => {
    const twice = { ...production, MASTER_KEYS_FILE: fileWith('twice', production.MASTER_KEYS) };
    expect(problemsOf(twice)).toEqual([expect.stringContaining('MASTER_KEYS: is given twice')]);

    const { MASTER_KEYS: _, ...rest } = production;
    const missing = join(folder, 'missing');
    expect(problemsOf({ ...rest, MASTER_KEYS_FILE: missing })).toEqual([
      expect.stringMatching(new RegExp(`^MASTER_KEYS_FILE: .*${missing}.*ENOENT`)),
    ]);
    expect(problemsOf({ ...rest, MASTER_KEYS_FILE: fileWith('empty', ' \n') })).toEqual([
      expect.stringMatching(/^MASTER_KEYS_FILE: .*empty/),
    ]);
  });

  test('does not take a file for what is no secret', () => {
    const { ISSUER: _, ...rest } = production;
    expect(
      problemsOf({ ...rest, ISSUER_FILE: fileWith('issuer', 'https://id.example.com') }).join(),
    ).toContain('ISSUER: is required');
  });
});

describe('issuer', () => {
  test.each([
    ['https://id.example.com/', 'write https://id.example.com'],
    ['https://id.example.com/op', 'write https://id.example.com'],
    ['https://id.example.com?a=b', 'write https://id.example.com'],
    ['https://id.example.com#a', 'write https://id.example.com'],
    ['https://user:pw@id.example.com', 'write https://id.example.com'],
    ['https://ID.example.com', 'write https://id.example.com'],
    ['https://id.example.com:443', 'write https://id.example.com'],
    ['ftp://id.example.com', 'must be an origin'],
    ['id.example.com', 'must be an origin'],
  ])('refuses %s', (ISSUER, advice) => {
    expect(problemsOf({ ...production, ISSUER })).toEqual([expect.stringMatching(`^ISSUER: .*${advice}`)]);
  });

  test('takes http outside production only [A-240]', () => {
    expect(readConfig({ ISSUER: 'http://tessera:3000' }).issuer).toBe('http://tessera:3000');
    expect(problemsOf({ ...production, ISSUER: 'http://localhost:3000' })).toEqual([
      expect.stringContaining('ISSUER: must start with https://'),
    ]);
  });

  test('is not taken as https while NODE_ENV is unset [A-240]', () => {
    expect(problemsOf({ ISSUER: 'https://id.example.com' })).toEqual([expect.stringMatching(/^NODE_ENV: /)]);
    expect(problemsOf({ ISSUER: 'https://id.example.com', NODE_ENV: 'development' })).toEqual([]);
  });
});

describe('production [A-240, F-21]', () => {
  test.each(['ISSUER', 'DATABASE_URL', 'MASTER_KEYS'])('does not start without %s', (name) => {
    expect(problemsOf({ ...production, [name]: undefined })).toEqual([
      expect.stringMatching(`^${name}: is required`),
    ]);
  });

  test.each([
    ['all bytes alike', Buffer.alloc(32, 7)],
    ['a repeated pattern', Buffer.from('00112233445566778899aabbccddeeff'.repeat(2), 'hex')],
    ['few distinct bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => (i * i * 37) % 15))],
    ['a text', Buffer.from('correct horse battery staple 123')],
    ['counting bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i + 240))],
    ['too short a key', randomBytes(16)],
    ['too long a key', randomBytes(64)],
  ])('does not start with a master key of %s', (_, bytes) => {
    const MASTER_KEYS = `k1:${bytes.toString('base64')}`;
    expect(problemsOf({ ...production, MASTER_KEYS })).toEqual([expect.stringMatching(/^MASTER_KEYS: .*k1/)]);
  });

  test.each(['DATABASE_URL', 'MIGRATION_DATABASE_URL'])(
    'wants %s to verify a remote server [12.3.1]',
    (name) => {
      const refused = ['', '?sslmode=require', '?sslmode=verify-full&sslmode=disable', '?ssl=true'];
      for (const query of refused) {
        const problems = problemsOf({ ...production, [name]: `postgres://app@db.example.com/a${query}` });
        expect(problems).toEqual([expect.stringMatching(`^${name}: .*sslmode=verify-full`)]);
      }
      const redirected = problemsOf({
        ...production,
        [name]: 'postgres://app@localhost/a?host=db.example.com',
      });
      expect(redirected).toHaveLength(1);
      expect(problemsOf({ ...production, [name]: 'postgres:///a' })).toHaveLength(1);

      const local = ['localhost', '127.0.0.1', '[::1]', '%2Fvar%2Frun%2Fpostgresql'].map(
        (host) => `app@${host}/a`,
      );
      for (const rest of [
        ...local,
        'app@/a?host=/var/run/postgresql',
        'app@db.example.com/a?sslmode=verify-full',
      ]) {
        expect(problemsOf({ ...production, [name]: `postgres://${rest}` })).toEqual([]);
      }
    },
  );

  test('wants Redis and mail over TLS unless they are on this machine [12.2.1]', () => {
    const MAIL_FROM = 'a@example.com';
    expect(problemsOf({ ...production, REDIS_URL: 'redis://redis.example.com' })).toHaveLength(1);
    expect(problemsOf({ ...production, REDIS_URL: 'redis://127.0.0.1' })).toEqual([]);
    expect(problemsOf({ ...production, MAIL_FROM, SMTP_URL: 'smtp://mail.example.com' })).toHaveLength(1);
    expect(problemsOf({ ...production, MAIL_FROM, SMTP_URL: 'smtps://mail.example.com' })).toEqual([]);
    expect(problemsOf({ ...production, MAIL_FROM, SMTP_URL: 'smtp://localhost' })).toEqual([]);
  });

  test('refuses the demo and a switched-off certificate check', () => {
    const problems = problemsOf({ ...production, TESSERA_DEMO: 'on', NODE_TLS_REJECT_UNAUTHORIZED: '0' });
    expect(problems.map((line) => line.split(':')[0])).toEqual([
      'TESSERA_DEMO',
      'NODE_TLS_REJECT_UNAUTHORIZED',
    ]);
  });
});

test('refuses networks that hold every address', () => {
  expect(problemsOf({ TRUSTED_PROXIES: '0.0.0.0/0' })).toHaveLength(1);
  expect(problemsOf({ OUTBOUND_ALLOW: 'a.example,::/0' })).toHaveLength(1);
});

test('refuses a sender with a second header in it, and mail without a sender', () => {
  const SMTP_URL = 'smtp://localhost';
  expect(problemsOf({ SMTP_URL, MAIL_FROM: 'A\r\nBcc: b@example.com <a@example.com>' })).toHaveLength(1);
  expect(problemsOf({ SMTP_URL }).join()).toMatch(/^MAIL_FROM: is required/);
  expect(problemsOf({ MIGRATION_DATABASE_URL: 'postgres://a@localhost/b' }).join()).toMatch(
    /DATABASE_URL too/,
  );
});

describe('.env.example', () => {
  const lines = readFileSync('.env.example', 'utf8').trimEnd().split('\n');
  const assignments = lines.flatMap((line, at) => {
    const [, name, value] = /^# ([A-Z_]+)=(.+)$/.exec(line) ?? [];
    return name && value ? [{ name, value, above: lines[at - 1] ?? '' }] : [];
  });

  test('names every variable once and no other, each commented out under an explanation', () => {
    expect(assignments.map(({ name }) => name).sort()).toEqual([...configVariables].sort());
    for (const { above } of assignments) expect(above).toMatch(/^# [A-Z][^=]* .*\.$/);
    expect(lines.filter((line) => line !== '' && !line.startsWith('# '))).toEqual([]);
  });

  test('is a production configuration but for the placeholders of the keys [A-240]', () => {
    const env = Object.fromEntries(assignments.map(({ name, value }) => [name, value]));
    expect(problemsOf(env)).toEqual([
      expect.stringMatching(/^MASTER_KEYS: /),
      expect.stringMatching(/^PASSWORD_PEPPERS: /),
    ]);
    const keys = { MASTER_KEYS: production.MASTER_KEYS, PASSWORD_PEPPERS: makeMasterKeyText('p1') };
    expect(problemsOf({ ...env, ...keys })).toEqual([]);
  });
});

test.each([
  ['sign_in', 'sign_in is not name=times/duration'],
  ['sign_in=5', 'sign_in=5 is not name=times/duration'],
  ['sign_in=5/15', 'sign_in=5/15 is not name=times/duration'],
  ['sign_in=-5/15m', 'sign_in=-5/15m is not name=times/duration'],
  ['sign_in=5/15m=2', 'sign_in=5/15m=2 is not name=times/duration'],
  ['sign_in=0/15m', 'sign_in=0/15m must be 1 to'],
  ['sign_in=5/0m', 'sign_in=5/0m must be 1 to'],
  ['sign_in=5/31d', 'sign_in=5/31d must be 1 to'],
  ['pages=9999999999/1m', 'pages=9999999999/1m must be 1 to'],
  ['logins=5/15m', 'logins is not a limit there is (sign_in, '],
  ['toString=5/15m', 'toString is not a limit there is'],
  ['sign_in=5/15m,sign_in=6/15m', 'sign_in is given twice'],
])('refuses the rate limit %s', (value, problem) => {
  expect(problemsOf({ RATE_LIMITS: value })).toEqual([expect.stringContaining(`RATE_LIMITS: ${problem}`)]);
});
