import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { doctor } from '#src/cli/doctor.ts';
import { judgeVersion } from '#src/cli/doctor-database.ts';
import { checkIssuer, checkRedis, checkSmtp } from '#src/cli/doctor-network.ts';
import { checkPooler, detectPooling, judgePooling } from '#src/cli/doctor-pooler.ts';
import { type Config, readConfig } from '#src/config.ts';
import { openDatabase } from '#src/database/open.ts';
import { withTenant } from '#src/database/tenant.ts';
import { ensureSigningKeys } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { makeLog } from '#src/lib/log.ts';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import { makeSecret } from '#src/lib/secret.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

const log = makeLog({ level: 'silent' });
const MASTER_KEYS = makeMasterKeyText('test');
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const unusedPort = async () => {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
};

describe('the database', () => {
  let database: TestDatabase;
  let config: Config;

  beforeAll(async () => {
    database = await createTestDatabase();
    config = readConfig({
      DATABASE_URL: database.runtimeUrl,
      MASTER_KEYS,
      ISSUER: `http://localhost:${await unusedPort()}`,
    });
  });
  afterAll(() => database.drop());

  type Checks = { name: string; status: string; message: string; variable?: string }[];

  async function examine({ now = () => new Date(), ...given }: { now?: () => Date; config?: Config } = {}) {
    const used = given.config ?? config;
    const opened = await openDatabase(used, log, { migrations: 'ignore' });
    try {
      const { ok, document, text } = await doctor({ config: used, database: opened, now });
      return { ok, checks: (document as { checks: Checks }).checks, text: text((_, part) => part) };
    } finally {
      await opened.close();
    }
  }
  const find = (checks: Checks, name: string) => checks.find((check) => check.name === name);

  test('in order is found so, and a server that is not started is a warning', async () => {
    const { ok, checks, text } = await examine();
    expect(ok).toBe(true);
    expect(checks.filter(({ status }) => status !== 'ok').map(({ name }) => name)).toEqual(['issuer']);
    expect(checks.map(({ name }) => name)).toEqual([
      ...['issuer', 'pooler', 'database', 'version', 'clock', 'role', 'migrations'],
      ...['tables', 'isolation', 'master_keys'],
    ]);
    expect(text).toMatch(/^! issuer .*\(ISSUER\)\n✓ pooler /);
  });

  test('with another time is found so', async () => {
    const { ok, checks } = await examine({ now: () => new Date(Date.now() + 90_000) });
    expect(ok).toBe(false);
    expect(find(checks, 'clock')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/ (89|9\d) seconds/),
    });
  });

  test('whose secrets another key sealed is found so, by the variable [G-09]', async () => {
    const opened = await openDatabase(config, log);
    await withTenant(opened.db, platformTenantId, (tx) =>
      ensureSigningKeys(tx, opened.masterKeys, new Date()),
    );
    await opened.close();
    expect(find((await examine()).checks, 'master_keys')).toMatchObject({ status: 'ok' });
    const other = readConfig({ DATABASE_URL: database.runtimeUrl, MASTER_KEYS: makeMasterKeyText('other') });
    expect(find((await examine({ config: other })).checks, 'master_keys')).toMatchObject({
      status: 'fail',
      variable: 'MASTER_KEYS',
    });
    expect(await runStatements(database.superUrl, ['select from server_secrets'])).toEqual([]);
  });

  test('with a weakness is found so, by table and variable [P-01, P-02]', async () => {
    await runStatements(database.superUrl, ['alter table users no force row level security']);
    expect(find((await examine()).checks, 'tables')).toEqual({
      name: 'tables',
      status: 'fail',
      message: 'table users: row-level security is not forced, so its owner sees every tenant',
    });
    await runStatements(database.superUrl, [
      'alter table users force row level security',
      'alter table users disable row level security',
    ]);
    expect(find((await examine()).checks, 'isolation')).toMatchObject({ status: 'fail' });
    await runStatements(database.superUrl, ['alter table users enable row level security']);

    const owner = readConfig({ DATABASE_URL: database.ownerUrl, MASTER_KEYS });
    expect(find((await examine({ config: owner })).checks, 'role')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('owns tables '),
      variable: 'DATABASE_URL',
    });
  });

  test('that lacks migrations is found so, and what needs them is not checked', async () => {
    await runStatements(database.superUrl, [
      'create table kept as select * from schema_migrations',
      "delete from schema_migrations where name like '0005%'",
    ]);
    const { checks } = await examine();
    expect(find(checks, 'migrations')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('0005_'),
      variable: 'MIGRATION_DATABASE_URL',
    });
    expect(find(checks, 'tables')).toEqual({
      name: 'tables',
      status: 'warn',
      message: 'not checked, since migrations failed',
    });
    await runStatements(database.superUrl, [
      'insert into schema_migrations select * from kept on conflict do nothing',
      'drop table kept',
    ]);
  });

  test('that is away is found so, without its password', async () => {
    const url = `postgres://tessera:a-secret-password@127.0.0.1:${await unusedPort()}/tessera`;
    const { ok, checks, text } = await examine({ config: readConfig({ DATABASE_URL: url, MASTER_KEYS }) });
    expect(ok).toBe(false);
    expect(find(checks, 'database')).toMatchObject({ status: 'fail', variable: 'DATABASE_URL' });
    expect(find(checks, 'role')).toMatchObject({ status: 'warn' });
    expect(JSON.stringify(checks) + text).not.toContain('a-secret-password');
  });

  test('that could not be opened is named by the reason', async () => {
    const { document } = await doctor({
      config,
      database: new Error('no embedded Postgres here'),
      now: () => new Date(),
    });
    expect(find((document as { checks: Checks }).checks, 'database')).toMatchObject({
      status: 'fail',
      message: 'no embedded Postgres here',
    });
  });

  test('without a pooler is found so', async () => {
    expect(await detectPooling(database.runtimeUrl)).toEqual({ mode: 'direct', prepared: true });
    const opened = { runtimeUrl: database.runtimeUrl };
    expect(await checkPooler(opened, { config })).toMatchObject({ status: 'ok' });
    const url = new URL(database.runtimeUrl);
    url.searchParams.set('pgbouncer', 'true');
    const wrong = readConfig({ DATABASE_URL: url.href, MASTER_KEYS });
    expect(await checkPooler(opened, { config: wrong })).toMatchObject({
      status: 'warn',
      variable: 'DATABASE_URL',
    });
  });
});

test.each([
  [140_019, 'fail'],
  [150_013, 'fail'],
  [150_014, 'ok'],
  [160_009, 'fail'],
  [160_010, 'ok'],
  [170_005, 'fail'],
  [170_006, 'ok'],
  [180_000, 'ok'],
  [190_000, 'ok'],
])('judges PostgreSQL release %d: %s [P-19, CVE-2025-8713]', (release, status) => {
  expect(judgeVersion(release, String(release)).status).toBe(status);
});

test.each([
  [{ mode: 'direct', prepared: true }, false, 'ok'],
  [{ mode: 'direct', prepared: true }, true, 'warn'],
  [{ mode: 'session', prepared: true }, true, 'warn'],
  [{ mode: 'transaction', prepared: false }, false, 'fail'],
  [{ mode: 'transaction', prepared: false }, true, 'ok'],
  [{ mode: 'transaction', prepared: true }, false, 'ok'],
  [{ mode: 'statement', prepared: false }, true, 'fail'],
] as const)('judges a pool %j with pgbouncer=%j: %s', (pooling, pgbouncer, status) => {
  expect(judgePooling(pooling, pgbouncer).status).toBe(status);
});

describe('the issuer', () => {
  async function serve(answer: (issuer: string) => RequestListener): Promise<string> {
    let issuer = '';
    const port = await listen(createHttpServer((req, res) => answer(issuer)(req, res)));
    issuer = `http://127.0.0.1:${port}`;
    return issuer;
  }
  const json =
    (document: object): RequestListener =>
    (_, res) =>
      res.end(JSON.stringify(document));

  test('that answers as itself is well', async () => {
    const issuer = await serve((issuer) =>
      json({ issuer, jwks_uri: `${issuer}/jwks`, op_policy_uri: issuer }),
    );
    expect(await checkIssuer({ issuer })).toMatchObject({ status: 'ok' });
  });

  test('that nobody answers for is a warning', async () => {
    const issuer = `http://127.0.0.1:${await unusedPort()}`;
    expect(await checkIssuer({ issuer })).toMatchObject({ status: 'warn', variable: 'ISSUER' });
  });

  test.each([
    [
      'answers as another',
      () => json({ issuer: 'http://other.test' }),
      /answers as http:\/\/other.test/,
      'ISSUER',
    ],
    [
      'answers as one with a slash at the end',
      (issuer: string) => json({ issuer: `${issuer}/` }),
      /answers as/,
      'ISSUER',
    ],
    [
      'answers with a page',
      () => ((_, res) => res.end('<html>')) as RequestListener,
      /nobody we know/,
      'ISSUER',
    ],
    [
      'redirects',
      () => ((_, res) => res.writeHead(301, { location: 'https://a.test' }).end()) as RequestListener,
      /redirects to https:\/\/a.test/,
      'ISSUER',
    ],
    [
      'refuses its name',
      () => ((_, res) => res.writeHead(421).end()) as RequestListener,
      /refuses its own name/,
      'ISSUER',
    ],
    [
      'is not there',
      () => ((_, res) => res.writeHead(404).end()) as RequestListener,
      /answers 404/,
      'ISSUER',
    ],
    [
      'hands out addresses of another host [M-1]',
      (issuer: string) => json({ issuer, jwks_uri: `${issuer}.evil.test/jwks` }),
      /jwks_uri is http/,
      'TRUSTED_PROXIES',
    ],
  ])('that %s is a failure', async (_, answer, message, variable) => {
    const issuer = await serve(answer);
    expect(await checkIssuer({ issuer })).toEqual({
      status: 'fail',
      message: expect.stringMatching(message),
      variable,
    });
  });
});

/** Answers each chunk that arrives; enough of a protocol for one greeting. */
function lineServer(greeting: string, answer: (chunk: string) => string): Server {
  return createServer((socket: Socket) => {
    socket.write(greeting);
    socket.on('data', (chunk) => socket.write(answer(chunk.toString())));
    socket.on('error', () => {});
  });
}

describe('Redis', () => {
  const check = (url: string) => checkRedis({ redisUrl: makeSecret(url) });
  const redis = (answer: (command: string) => string) =>
    lineServer('', (chunk) => {
      const commands = [...chunk.matchAll(/^\*\d+\r\n\$\d+\r\n(\w+)/gm)].map(([, name]) =>
        name!.toLowerCase(),
      );
      return commands.map(answer).join('');
    });

  test('that answers is well, and none is nothing to check but in production', async () => {
    const port = await listen(redis(() => '+OK\r\n'));
    expect(await check(`redis://127.0.0.1:${port}`)).toEqual({ status: 'ok', message: 'answers' });
    expect(await checkRedis({ redisUrl: undefined })).toBeUndefined();
  });

  test('that still loads its data is a failure', async () => {
    const port = await listen(redis(() => '-LOADING Redis is loading the dataset in memory\r\n'));
    expect(await check(`redis://127.0.0.1:${port}`)).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('LOADING'),
    });
  });

  test('that is away or refuses the password is a failure, by the variable', async () => {
    expect(await check(`redis://127.0.0.1:${await unusedPort()}`)).toMatchObject({
      status: 'fail',
      variable: 'REDIS_URL',
    });
    const port = await listen(redis(() => '-WRONGPASS invalid password\r\n'));
    expect(await check(`redis://:a-secret-password@127.0.0.1:${port}`)).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('WRONGPASS'),
    });
  });
});

describe('SMTP', () => {
  const check = (url: string) =>
    checkSmtp({ smtp: { url: makeSecret(url), from: 'a@a.test' }, production: false });

  test('that answers is well, and none is nothing to check but in production', async () => {
    const port = await listen(lineServer('220 mail.test\r\n', () => '250 mail.test\r\n'));
    expect(await check(`smtp://127.0.0.1:${port}`)).toEqual({ status: 'ok', message: 'answers' });
    expect(await checkSmtp({ smtp: undefined, production: false })).toBeUndefined();
    expect(await checkSmtp({ smtp: undefined, production: true })).toMatchObject({
      status: 'warn',
      variable: 'SMTP_URL',
    });
  });

  test('that is away or refuses us is a failure, by the variable', async () => {
    expect(await check(`smtp://127.0.0.1:${await unusedPort()}`)).toMatchObject({
      status: 'fail',
      variable: 'SMTP_URL',
    });
    const port = await listen(lineServer('554 go away\r\n', () => ''));
    expect(await check(`smtp://127.0.0.1:${port}`)).toMatchObject({ status: 'fail', variable: 'SMTP_URL' });
  });
});

test('shows no password that a driver quotes', async () => {
  const config = readConfig({ DATABASE_URL: 'postgres://tessera:a%20secret@127.0.0.1:1/x', MASTER_KEYS });
  const database = new Error('cannot use postgres://tessera:a%20secret@127.0.0.1:1 nor "a secret"');
  const { document, text } = await doctor({ config, database, now: () => new Date() });
  const shown = JSON.stringify(document) + text((_, part) => part);
  expect(shown).toContain('[secret]');
  expect(shown).not.toMatch(/a( |%20)secret/);
});
