import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements, withDatabase } from '#test/support/postgres.ts';
import { freePort, startNode } from '#test/support/server.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());

const masterKey = makeMasterKeyText('boot');

type Environment = Record<string, string | undefined>;

/** What a production deployment sets, all of it good. */
const production = (): Environment => ({
  NODE_ENV: 'production',
  ISSUER: 'https://id.example.test',
  DATABASE_URL: fixture.urls.runtimeUrl,
  MIGRATION_DATABASE_URL: fixture.urls.ownerUrl,
  MASTER_KEYS: masterKey,
});

/** Runs the server with these settings until it ends by itself. */
async function boot(settings: Environment) {
  const env = { PATH: process.env['PATH'], PORT: String(await freePort()), ...settings };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'serve'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
  });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { output: stdout + stderr, code, signal };
}

/** It ends by itself with 1, says why by name in few words, and shows nothing secret. */
async function expectRefusal(settings: Environment, ...names: RegExp[]) {
  const { output, code, signal } = await boot(settings);
  expect({ code, signal, output }).toEqual({ code: 1, signal: null, output: expect.any(String) });
  for (const name of names) {
    expect(output).toMatch(name);
  }
  const lines = output.split('\n').filter((line) => !line.startsWith('{"level"'));
  expect(lines.join('\n')).not.toMatch(/^\s+at /m);
  expect(lines.length).toBeLessThan(15);
  const secrets = [settings['DATABASE_URL'], settings['MIGRATION_DATABASE_URL']]
    .map((url) => (url && URL.canParse(url) ? new URL(url).password : ''))
    .concat(settings['MASTER_KEYS']?.split(':')[1] ?? '')
    .filter((secret) => secret !== '');
  for (const secret of secrets) {
    expect(output).not.toContain(secret);
  }
}

describe('a server that could not be trusted does not start [A-240, F-21]', () => {
  test.each<[string, Environment, RegExp[]]>([
    ['no master key', { MASTER_KEYS: undefined }, [/MASTER_KEYS/]],
    ['a master key that is too short', { MASTER_KEYS: 'a:c2hvcnQ=' }, [/MASTER_KEYS/]],
    ['no issuer', { ISSUER: undefined }, [/ISSUER/]],
    ['an issuer over http', { ISSUER: 'http://id.example.test' }, [/ISSUER/, /https/]],
    ['no database', { DATABASE_URL: undefined }, [/DATABASE_URL/]],
    ['the demo', { TESSERA_DEMO: 'on' }, [/TESSERA_DEMO/]],
    ['a setting that nobody knows', { TESSERA_DEMOS: 'on' }, [/TESSERA_DEMOS/]],
    ['certificates unchecked', { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, [/NODE_TLS_REJECT_UNAUTHORIZED/]],
    [
      'several at once, all named',
      { MASTER_KEYS: undefined, ISSUER: 'http://id.example.test', LOG_LEVEL: 'loud' },
      [/MASTER_KEYS/, /ISSUER/, /LOG_LEVEL/],
    ],
  ])('in production: %s', async (_, settings, names) => {
    await expectRefusal({ ...production(), ...settings }, ...names);
  });

  test('an https issuer without NODE_ENV, which would leave the rules of production out', async () => {
    await expectRefusal({ ...production(), NODE_ENV: undefined }, /NODE_ENV/);
  });

  test('a runtime role that is a superuser: row-level security does not bind it', async () => {
    const { superUrl } = fixture.urls;
    const role = new URL(superUrl).username;
    await expectRefusal(
      { ...production(), DATABASE_URL: superUrl, MIGRATION_DATABASE_URL: undefined },
      /superuser/i,
      new RegExp(role),
    );
  });

  test('a runtime role that owns the tables: it could switch the protection off', async () => {
    const { ownerUrl } = fixture.urls;
    const role = new URL(ownerUrl).username;
    await expectRefusal(
      { ...production(), DATABASE_URL: ownerUrl, MIGRATION_DATABASE_URL: undefined },
      /own/i,
      new RegExp(role),
    );
  });

  test('a table whose row-level security is not forced', async () => {
    const { ownerUrl } = fixture.urls;
    await runStatements(ownerUrl, ['alter table users no force row level security']);
    try {
      await expectRefusal(production(), /\busers\b/, /forced?/i);
    } finally {
      await runStatements(ownerUrl, ['alter table users force row level security']);
    }
  });

  test('a table without its policy', async () => {
    const { ownerUrl } = fixture.urls;
    await runStatements(ownerUrl, ['create table forgotten (tenant_id uuid not null, secret text)']);
    try {
      await expectRefusal(production(), /\bforgotten\b/);
    } finally {
      await runStatements(ownerUrl, ['drop table forgotten']);
    }
  });

  test('another master key than the one that sealed what is stored', async () => {
    const node = await startNode(fixture, { env: { MASTER_KEYS: masterKey } });
    await node.stop();
    await expectRefusal({ ...production(), MASTER_KEYS: makeMasterKeyText('other') }, /MASTER_KEYS/);
  });

  test('a database server that is not there', async () => {
    const url = new URL(fixture.urls.runtimeUrl);
    url.port = String(await freePort());
    const owner = new URL(fixture.urls.ownerUrl);
    owner.port = url.port;
    await expectRefusal(
      { ...production(), DATABASE_URL: url.href, MIGRATION_DATABASE_URL: owner.href },
      /MIGRATION_DATABASE_URL/,
      /ECONNREFUSED/,
    );
  });

  test('a database that does not exist', async () => {
    await expectRefusal(
      {
        ...production(),
        DATABASE_URL: withDatabase(fixture.urls.runtimeUrl, 'nowhere'),
        MIGRATION_DATABASE_URL: withDatabase(fixture.urls.ownerUrl, 'nowhere'),
      },
      /MIGRATION_DATABASE_URL/,
      /nowhere/,
    );
  });

  test('a database that lacks migrations, without its owner to apply them', async () => {
    const { ownerUrl } = fixture.urls;
    const [latest] = await runStatements(ownerUrl, [
      'delete from schema_migrations where name = (select max(name) from schema_migrations) returning *',
    ]);
    try {
      await expectRefusal(
        { ...production(), MIGRATION_DATABASE_URL: undefined },
        new RegExp(String(latest!['name'])),
      );
    } finally {
      await runStatements(ownerUrl, [
        `insert into schema_migrations select * from jsonb_populate_record(null::schema_migrations, '${JSON.stringify(latest)}')`,
      ]);
    }
  });
});
