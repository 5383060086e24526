import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { runStatements } from '../../../test/support/postgres.ts';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { defaultOptions } from '../../src/options.ts';
import { prove } from '../../src/prove/prove.ts';
import { type LoadedSchema, loadSchema, loadSql } from '../schemas/load.ts';
import { checksum, found, proveAt, withConnection } from './proving.ts';

let corrected: LoadedSchema;

beforeAll(async () => {
  corrected = await loadSchema('corrected');
});

afterAll(() => corrected.drop());

const options = () => ({ ...defaultOptions, role: corrected.roles.runtime });

async function proveWith(client: pg.ClientBase) {
  return prove(client, await readCatalogue(client, options()), options());
}

test('a role that may not become the runtime role is told the grant', async () => {
  const grant = new RegExp(`grant ${corrected.roles.runtime} to ${corrected.roles.owner}`);
  await expect(proveAt(corrected.ownerUrl, options())).rejects.toThrow(grant);
});

test('the owner, whom forced policies bind, proves the same', async () => {
  const before = await checksum(corrected);
  await runStatements(corrected.superUrl, [`grant ${corrected.roles.runtime} to ${corrected.roles.owner}`]);
  const report = await proveAt(corrected.ownerUrl, options());
  await runStatements(corrected.superUrl, [
    `revoke ${corrected.roles.runtime} from ${corrected.roles.owner}`,
  ]);
  expect(report.findings).toEqual([]);
  expect(report.controls.filter(({ worked }) => !worked)).toEqual([]);
  // A fresh connection cannot have rows: their owner needs a tenant to make them.
  expect(report.notes.join()).toMatch(/on a fresh connection \d+ of \d+ tables were not tried/);
  expect(await checksum(corrected)).toBe(before);
});

test('the runtime role itself proves what it can', async () => {
  const report = await proveAt(corrected.runtimeUrl, options());
  expect(report.findings).toEqual([]);
  expect(report.controls.filter(({ worked }) => !worked)).toEqual([]);
});

test('a read-only connection is refused', async () => {
  await withConnection(corrected.superUrl, async (client) => {
    await client.query('set default_transaction_read_only = on');
    await expect(proveWith(client)).rejects.toThrow(/read-only/);
  });
});

test('a connection with a transaction open is refused, and the transaction is left as it was', async () => {
  await withConnection(corrected.superUrl, async (client) => {
    await client.query('begin');
    await client.query('create temporary table mine (id int) on commit drop');
    await expect(proveWith(client)).rejects.toThrow(/transaction open/);
    expect((await client.query('select count(*)::int as count from mine')).rows).toEqual([{ count: 0 }]);
    await client.query('rollback');
  });
});

test('a connection that has been used with a tenant says so', async () => {
  await withConnection(corrected.superUrl, async (client) => {
    await client.query(`select set_config('app.current_tenant_id', '', false)`);
    const report = await proveWith(client);
    expect(report.notes.join()).toMatch(/a fresh one was not tried/);
    expect(report.findings).toEqual([]);
  });
});

test('afterwards the connection is as it was', async () => {
  await withConnection(corrected.superUrl, async (client) => {
    const state = async () =>
      (
        await client.query(
          `select current_user, session_user, current_setting('search_path') as path, current_setting('statement_timeout') as timeout,
            nullif(current_setting('app.current_tenant_id', true), '') as tenant, now() = statement_timestamp() as idle`,
        )
      ).rows[0];
    const before = await state();
    await proveWith(client);
    expect(await state()).toEqual(before);
    expect(client.listenerCount('notice')).toBe(0);
  });
});

test('killed half-way, nothing stays', async () => {
  const before = await checksum(corrected);
  const client = new pg.Client({ connectionString: corrected.superUrl });
  client.on('error', () => {});
  await client.connect();
  const [{ pid }] = (await client.query('select pg_backend_pid() as pid')).rows as [{ pid: number }];
  const proof = proveWith(client);
  const failed = expect(proof).rejects.toThrow();
  await withConnection(corrected.superUrl, async (other) => {
    for (;;) {
      const { rows } = await other.query(
        `select backend_xid is not null as writes from pg_stat_activity where pid = $1 and query ~ 'merge into'`,
        [pid],
      );
      if (rows[0]?.writes) break;
    }
    await other.query('select pg_terminate_backend($1)', [pid]);
  });
  await failed;
  await client.end().catch(() => {});
  expect(await checksum(corrected)).toBe(before);
});

test('a table that somebody has locked is not called safe, and is not waited for', async () => {
  await withConnection(corrected.superUrl, async (client) => {
    const catalogue = await readCatalogue(client, options());
    await withConnection(corrected.superUrl, async (other) => {
      await other.query('begin');
      await other.query('lock table shop.p01_owned in access exclusive mode');
      const report = await prove(client, catalogue, options());
      expect(found(report)).toEqual(['P-00/not-proved shop.p01_owned']);
      expect(report.unfilled).toEqual([
        { table: 'shop.p01_owned', reason: 'canceling statement due to lock timeout' },
      ]);
    });
  });
});

test('names that need quotes, of 63 bytes and in other scripts', async () => {
  const suffix = randomBytes(2).toString('hex');
  const names = [
    `a "b" 'c' %s %I $1 ${suffix}`,
    'SELECT',
    'Größe; drop table x; --',
    'x'.repeat(63),
    '표'.repeat(21),
    'back\\slash',
    '$$ {} ?',
    ' lead and trail ',
  ];
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const schema = quoted(names[0]!);
  const tables = names.map((name, index) => {
    const table = `${schema}.${quoted(name)}`;
    const other = quoted(names[(index + 1) % names.length]!);
    return `
      create table ${table} ("Tenant ""Id""" uuid not null, ${quoted(`id ${index}'`)} uuid not null, ${other} text not null,
        constraint ${quoted(`${names[(index + 2) % names.length]!.slice(0, 10)}${index}`)} primary key ("Tenant ""Id""", ${quoted(`id ${index}'`)}),
        constraint ${quoted(`u ${index} %`)} unique (${other}),
        constraint ${quoted(`ch'"k ${index}`)} check (${other} in ('it''s', 'a\\b"c', '%')));
      alter table ${table} enable row level security, force row level security;
      create policy ${quoted(`p ${index}'`)} on ${table} using ("Tenant ""Id""" = (select tenant.id())) with check ("Tenant ""Id""" = (select tenant.id()));
      create view ${schema}.${quoted(`v ${index} '"`)} as select * from ${table};`;
  });
  const loaded = await loadSql(
    `create schema ${schema}; grant usage on schema ${schema} to :runtime; ${tables.join('\n')}
    create function ${schema}.${quoted(`f '"`)}("Arg one" text) returns bigint language sql security definer as $f$ select count(*) from ${schema}."SELECT" $f$;
    grant select, insert, update, delete on all tables in schema ${schema} to :runtime;`,
  );
  const report = await proveAt(loaded.superUrl, {
    role: loaded.roles.runtime,
    tenantColumns: ['Tenant "Id"'],
  });
  await loaded.drop();
  expect(report.unfilled).toEqual([]);
  expect(report.controls.filter(({ worked, what }) => !worked && what === 'read own row')).toEqual([]);
  const count = (rule: string) => report.findings.filter((finding) => finding.rule === rule).length;
  expect(count('P-10/key-without-tenant')).toBe(names.length);
  expect(count('P-13/view-of-owner')).toBe(names.length);
  expect(count('P-14/definer-bypasses')).toBe(1);
  expect(report.findings).toHaveLength(2 * names.length + 1);
});
