import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import type { Catalogue } from '../../src/catalogue/catalogue.ts';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { defaultOptions, type SchemaOptions } from '../../src/options.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  const owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
  await owner.query(`
    create schema shop;
    create schema hidden;
    create table shop.orders (
      tenant_id uuid not null,
      id bigint generated always as identity,
      "Total" numeric(10, 2) not null default 0,
      doubled numeric generated always as ("Total" * 2) stored,
      primary key (tenant_id, id)
    ) partition by list (tenant_id);
    create table shop.orders_rest partition of shop.orders default;
    create table shop.items (
      order_tenant uuid, order_id bigint, label text,
      constraint items_order foreign key (order_tenant, order_id) references shop.orders on delete cascade
    );
    create unique index items_label on shop.items (lower(label), order_id) where label <> '';
    create view shop.totals with (security_invoker = true) as select "Total" from shop.orders;
    create materialized view shop.sums as select sum("Total") from shop.totals;
    create function shop.one() returns int language sql stable security definer set search_path = '' return 1;
    create function hidden.two() returns int language sql as 'select 2';
    grant usage on schema shop to public;
    grant select on shop.orders to public;
    grant update ("label") on shop.items to ${new URL(database.runtimeUrl).username};
  `);
  await owner.end();
});

afterAll(() => database.drop());

async function read(url: string, options: Partial<SchemaOptions>): Promise<Catalogue> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    return await readCatalogue(client, { ...defaultOptions, ...options });
  } finally {
    await client.end();
  }
}

test('the runtime role reads the whole catalogue in a read-only transaction', async () => {
  const catalogue = await read(database.runtimeUrl, { schemas: ['shop'] });
  expect(catalogue.version).toBeGreaterThanOrEqual(150000);
  expect(catalogue.role).toMatchObject({ superuser: false, bypassRls: false, canLogin: true, memberOf: [] });
  const table = (name: string) => catalogue.tables.find((one) => one.name === name)!;
  expect(catalogue.tables.map(({ name, kind, tenantColumn }) => [name, kind, tenantColumn])).toEqual([
    ['items', 'table', undefined],
    ['orders', 'partitioned', 'tenant_id'],
    ['orders_rest', 'partition', 'tenant_id'],
  ]);
  expect(table('orders_rest').parents).toEqual([table('orders').id]);
  expect(table('orders').columns).toMatchObject([
    { name: 'tenant_id', type: 'uuid', notNull: true, default: undefined, generated: false },
    { name: 'id', identity: 'always' },
    { name: 'Total', type: 'numeric(10,2)', default: '0' },
    { name: 'doubled', generated: true },
  ]);
  expect(catalogue.constraints.filter(({ kind }) => kind === 'foreign')).toEqual([
    {
      name: 'items_order',
      table: table('items').id,
      kind: 'foreign',
      columns: ['order_tenant', 'order_id'],
      definition: expect.stringMatching(/^FOREIGN KEY/),
      inherited: false,
      references: {
        table: table('orders').id,
        columns: ['tenant_id', 'id'],
        onDelete: 'cascade',
        onUpdate: 'no action',
      },
    },
  ]);
  expect(catalogue.indexes).toContainEqual({
    name: 'items_label',
    table: table('items').id,
    unique: true,
    primary: false,
    valid: true,
    inherited: false,
    columns: ['', 'order_id'],
    where: "(label <> ''::text)",
    constraint: undefined,
    definition: expect.stringContaining('lower(label)'),
  });
  expect(catalogue.views).toMatchObject([
    { name: 'sums', materialised: true, securityInvoker: false, reads: [catalogue.views[1]!.id] },
    { name: 'totals', materialised: false, securityInvoker: true, reads: [table('orders').id] },
  ]);
  expect(catalogue.functions).toMatchObject([
    { name: 'one', definer: true, callable: true, source: 'RETURN 1', extension: undefined },
  ]);
  expect(catalogue.helpers).toContainEqual(
    expect.objectContaining({ schema: 'hidden', name: 'two', callable: false }),
  );
  const rights = catalogue.grants.map(({ object, privilege, through }) => [object, privilege, ...through]);
  expect(rights).toContainEqual(['shop.orders', 'select', 'public']);
  expect(rights).toContainEqual(['shop.items.label', 'update', catalogue.role.name]);
  expect(rights).not.toContainEqual(['shop.orders', 'truncate', 'public']);
});

test('looks at every schema of somebody’s own when none is named, and not at PostgreSQL’s', async () => {
  const { tables } = await read(database.superUrl, {});
  expect(new Set(tables.map(({ schema }) => schema))).toEqual(new Set(['pgboss', 'public', 'shop']));
});

test('what a superuser may do comes from no access list', async () => {
  const { grants } = await read(database.superUrl, { schemas: ['shop'] });
  expect(grants).toContainEqual(
    expect.objectContaining({ object: 'shop.items', privilege: 'truncate', kind: 'table' }),
  );
});

test('rights of roles that the login role only may become are rights of its own [P-01, P-12]', async () => {
  const name = `reader_${randomBytes(4).toString('hex')}`;
  const runtime = new URL(database.runtimeUrl).username;
  const by = async (...statements: string[]) => {
    const client = new pg.Client({ connectionString: database.superUrl });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };
  await by(
    `create role ${name}`,
    `grant ${name} to ${runtime}`,
    `alter role ${runtime} noinherit`,
    `create schema closed`,
    `create table closed.t (id int)`,
    `create function closed.f() returns int language sql return 1`,
    `revoke execute on function closed.f() from public`,
    `grant usage on schema closed to ${name}`,
    `grant truncate on closed.t to ${name}`,
    `grant select (id) on closed.t to ${name}`,
    `grant execute on function closed.f() to ${name}`,
  );
  const { grants, functions } = await read(database.runtimeUrl, { schemas: ['closed'] });
  await by('drop schema closed cascade', `alter role ${runtime} inherit`, `drop role ${name}`);
  expect(
    grants
      .filter(({ kind }) => kind !== 'database')
      .map((one) => [one.object, one.privilege, ...one.through]),
  ).toEqual([
    ['closed.t.id', 'select', name],
    ['closed.f', 'execute', name],
    ['closed', 'usage', name],
    ['closed.t', 'truncate', name],
  ]);
  expect(functions).toMatchObject([{ name: 'f', callable: true }]);
});

test('names the schema and the role that do not exist', async () => {
  await expect(read(database.runtimeUrl, { schemas: ['shop', 'shpo'] })).rejects.toThrow(
    /no schema "shpo" in database/,
  );
  await expect(read(database.runtimeUrl, { role: 'nobody_of_this_name' })).rejects.toThrow(
    /no role "nobody_of_this_name"/,
  );
});
