import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { createKitDatabase, type KitDatabase, kit, tenantA, tenantB } from './kit.ts';

let base: KitDatabase;

beforeAll(async () => {
  base = await createKitDatabase();
});

afterAll(() => base.end());

test('the kit replaces itself, twenty times at once', async () => {
  const clients = Array.from(
    { length: 20 },
    () => new pg.Client({ connectionString: base.database.ownerUrl }),
  );
  await Promise.all(clients.map((client) => client.connect()));
  await Promise.all(clients.map((client) => client.query(kit)));
  await Promise.all(clients.map((client) => client.end()));
  expect(await base.as(tenantA, 'select tenant.id() as id')).toEqual([{ id: tenantA }]);
});

describe('tenant.id()', () => {
  test('raises without a tenant, and with the empty one that a transaction leaves behind [P-05, A-170, A-173]', async () => {
    const fresh = new pg.Client({ connectionString: base.database.runtimeUrl });
    await fresh.connect();
    const refused = { code: '42501', message: 'no tenant is set for this transaction' };
    await expect(fresh.query('select tenant.id()')).rejects.toMatchObject(refused);
    await fresh.query(`begin; select set_config('app.current_tenant_id', '${tenantA}', true); commit`);
    await expect(fresh.query('select tenant.id()')).rejects.toMatchObject(refused);
    await fresh.end();
  });

  test('raises for what is no uuid [A-173]', async () => {
    await expect(base.as('not-a-uuid', 'select tenant.id()')).rejects.toMatchObject({ code: '22P02' });
  });
});

describe('claims', () => {
  const claims = (value: object) => ({ 'request.jwt.claims': JSON.stringify(value) });
  const ask = async (sql: string, settings?: Record<string, string>) =>
    Object.values((await base.as(tenantA, `select ${sql}`, settings))[0]!)[0];

  test('tenant.claim(name) gives a claim as text, and null without one', async () => {
    expect(await ask(`tenant.claim('sub')`, claims({ sub: 'alice' }))).toBe('alice');
    expect(await ask(`tenant.claim('level')`, claims({ level: 3 }))).toBe('3');
    expect(await ask(`tenant.claim('sub')`, claims({}))).toBeNull();
    expect(await ask(`tenant.claim('sub')`)).toBeNull();
    expect(await ask(`tenant.claim('sub')`, { 'request.jwt.claims': '' })).toBeNull();
  });

  test('tenant.has_scope(scope) knows whole scopes only', async () => {
    const granted = claims({ scope: 'orders:read orders:write' });
    expect(await ask(`tenant.has_scope('orders:read')`, granted)).toBe(true);
    expect(await ask(`tenant.has_scope('orders')`, granted)).toBe(false);
    expect(await ask(`tenant.has_scope('')`, claims({ scope: '' }))).toBe(false);
    expect(await ask(`tenant.has_scope('orders:read')`)).toBe(false);
  });
});

test('policies cost one call per query, and the index is used [P-24]', async () => {
  await base.owner.query(`create table orders (id int not null, note text)`);
  await base.owner.query(`select tenant.protect('orders')`);
  await base.owner.query(`grant select, insert, update, delete on orders to ${base.role}`);
  for (const tenant of [tenantA, tenantB]) {
    await base.as(tenant, `insert into orders (id) select generate_series(1, 5000)`);
  }
  await base.as(tenantA, `insert into orders (id) values (0)`);
  await base.owner.query('analyze orders');
  const plan = async (sql: string) =>
    (await base.as(tenantA, `explain (costs off) ${sql}`)).map((row) => row['QUERY PLAN']).join('\n');
  await base.runtime.query('set enable_seqscan = off');
  for (const sql of [
    'select * from orders',
    'update orders set note = 1',
    'delete from orders where id = 3',
  ]) {
    const text = await plan(sql);
    expect(text).toContain('InitPlan');
    expect(text).toMatch(/Index Cond: .*tenant_id = (\$\d|\(InitPlan \d\))/);
    expect(text).not.toMatch(/tenant\.id\(\)(?! AS)/);
  }
  await base.runtime.query('reset enable_seqscan');
  const [row] = await base.as(tenantA, `explain (format json) select * from orders`);
  const estimate = JSON.stringify(row!['QUERY PLAN']).match(/"Plan Rows":(\d+)/)![1];
  expect(Number(estimate)).toBeGreaterThan(2000);
});
