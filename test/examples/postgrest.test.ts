import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { ask, claimsOf, setUp } from '#examples/postgrest/main.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { lintExample } from './lint-example.ts';
import { runSql, withParts } from './orders-api-fixture.ts';
import { runExample } from './run-example.ts';

const acme = randomUUID();
const globex = randomUUID();
const count = 'select count(*)::int as count from orders.orders';
const insert =
  "insert into orders.orders (item, amount_cents) values ('chair', 12500) returning id, tenant_id";

let database: Awaited<ReturnType<typeof createTestDatabase>>;
/** Of one lasting connection, so that whatever a request leaves behind is met by the next. */
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  await setUp(database.ownerUrl);
  pool = new pg.Pool({ connectionString: await setUp(database.ownerUrl), max: 1, idleTimeoutMillis: 0 });
  for (const tenant_id of [acme, globex]) {
    await ask(pool, claimsOf(tenant_id), insert);
  }
});

afterAll(async () => {
  await pool.end();
  await database.drop();
  await runSql(
    withParts(database.superUrl, { pathname: '/postgres' }),
    'drop role orders_authenticator, orders_anon, orders_reader, orders_writer',
  );
});

describe('the tenant of the token', () => {
  test('sees its own rows and no other', async () => {
    for (const tenant_id of [acme, globex]) {
      const rows = await ask(pool, claimsOf(tenant_id), 'select tenant_id from orders.orders');
      expect(rows).toEqual([{ tenant_id }]);
    }
  });

  test('does not find another tenant’s row by its id, and neither changes nor deletes it', async () => {
    const [{ id }] = (await ask<{ id: string }>(pool, claimsOf(globex), 'select id from orders.orders')) as [
      { id: string },
    ];
    for (const statement of [
      'select id from orders.orders where id = $1',
      'update orders.orders set amount_cents = 0 where id = $1 returning id',
      'delete from orders.orders where id = $1 returning id',
    ]) {
      expect(await ask(pool, claimsOf(acme), statement, [id])).toEqual([]);
    }
    expect(await ask(pool, claimsOf(globex), count)).toEqual([{ count: 1 }]);
  });

  test('cannot write for another one, nor move a row to it [P-11]', async () => {
    for (const statement of [
      "insert into orders.orders (tenant_id, item, amount_cents) values ($1, 'x', 1)",
      'update orders.orders set tenant_id = $1',
    ]) {
      await expect(ask(pool, claimsOf(acme), statement, [globex])).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('is gone from the connection after the request, be it committed or not [A-170]', async () => {
    await ask(pool, claimsOf(acme), count);
    await expect(ask(pool, claimsOf(acme), 'select 1/0')).rejects.toMatchObject({ code: '22012' });
    const left = await pool.query("select current_user, current_setting('request.jwt.claims') as claims");
    expect(left.rows).toEqual([{ current_user: 'orders_authenticator', claims: '' }]);
    await expect(pool.query(count)).rejects.toMatchObject({ code: '42501' });
    expect(await ask(pool, claimsOf(globex), count)).toEqual([{ count: 1 }]);
  });

  test('is read once per query, and the key leads to its rows [P-24]', async () => {
    const results = await pool.query(
      `begin;
       set local role orders_reader;
       set local enable_seqscan = off;
       select set_config('request.jwt.claims', '{"tenant_id": "${acme}"}', true);
       explain select * from orders.orders;
       commit`,
    );
    expect(JSON.stringify(results)).toMatch(/InitPlan.*Index Cond: \(tenant_id = /);
  });
});

describe('a request is refused', () => {
  test.each([
    ['without a token', undefined, '42501'],
    ['with a token of no tenant', claimsOf(acme, { tenant_id: undefined }), '42501'],
    ['with a token of no audience, which jwt-aud lets through', claimsOf(acme, { aud: undefined }), 'PT401'],
    ['with a token of an empty audience', claimsOf(acme, { aud: [] }), 'PT401'],
    ['with a token bound to a key [RFC 9449 7.2]', claimsOf(acme, { cnf: { jkt: 'x' } }), 'PT401'],
    ['with a token of no scope', claimsOf(acme, { scope: undefined }), 'PT403'],
    ['with a token whose scope only resembles one', claimsOf(acme, { scope: 'reader writer' }), 'PT403'],
    ['whose tenant is a slug', claimsOf('acme'), '22P02'],
  ])('%s', async (_name, claims, code) => {
    await expect(ask(pool, claims, count)).rejects.toMatchObject({ code });
  });

  test('that writes with the scope read', async () => {
    expect(await ask(pool, claimsOf(acme, { scope: 'read' }), count)).toEqual([{ count: 1 }]);
    await expect(ask(pool, claimsOf(acme, { scope: 'read' }), insert)).rejects.toMatchObject({
      code: '42501',
    });
  });
});

describe('of database roles', () => {
  test('none can bypass a policy, and the owner is bound as well [P-01, P-02]', async () => {
    const roles = await runSql(
      database.superUrl,
      `select count(*)::int as count from pg_roles
       where rolname like 'orders\\_%'
         and not (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolinherit)
         and rolcanlogin = (rolname = 'orders_authenticator')`,
    );
    expect(roles.rows).toEqual([{ count: 4 }]);
    await expect(runSql(database.ownerUrl, count)).rejects.toMatchObject({ code: '42704' });
  });

  test('none holds TRUNCATE, REFERENCES or TRIGGER, and nobody else may choose a role [P-12]', async () => {
    const { rows } = await runSql(
      database.superUrl,
      `select grantee || ' ' || string_agg(privilege_type, ' ' order by privilege_type) as granted
       from information_schema.role_table_grants
       where table_schema = 'orders' and grantee like 'orders\\_%'
       group by grantee order by grantee`,
    );
    expect(rows.map(({ granted }) => granted)).toEqual([
      'orders_reader SELECT',
      'orders_writer DELETE INSERT SELECT UPDATE',
    ]);
    await expect(pool.query('select private.choose_role()')).rejects.toMatchObject({ code: '42501' });
  });
});

test.each(['orders_authenticator', 'orders_reader', 'orders_writer', 'orders_anon'])(
  'the linter finds nothing, seen as %s',
  async (role) => {
    expect(await lintExample(database.superUrl, 'orders', role)).toEqual([]);
  },
);

test('the example shows two tenants, their rows and two refusals', async () => {
  expect(await runExample('postgrest', database.ownerUrl)).toEqual([
    'acme sees acme keyboard, acme monitor',
    'globex sees globex keyboard, globex monitor',
    'acme writes for globex: new row violates row-level security policy for table "orders"',
    'nobody reads: permission denied for schema orders',
  ]);
});
