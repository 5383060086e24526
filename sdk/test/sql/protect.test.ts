import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createKitDatabase, type KitDatabase, tenantA, tenantB } from './kit.ts';

let base: KitDatabase;

beforeAll(async () => {
  base = await createKitDatabase();
  await base.owner.query(`create schema shop; grant usage on schema shop to public`);
});

afterAll(() => base.end());

const giveRows = (table: string) =>
  base.owner.query(`grant select, insert, update, delete on ${table} to ${base.role}`);

test('says each thing that it did, and nothing the second time', async () => {
  await base.owner.query(
    `create table shop.items (label text); grant all on shop.items to public, ${base.role}`,
  );
  const said = await base.protect('shop.items');
  expect(said.filter((line) => !line.includes('revoked'))).toEqual([
    'shop.items: column tenant_id uuid not null',
    'shop.items: column tenant_id default tenant.id()',
    'shop.items: row level security',
    'shop.items: row level security for the owner too',
    'shop.items: policy tenant_isolation (permissive)',
    'shop.items: policy tenant_boundary (restrictive)',
    'shop.items: index on (tenant_id)',
  ]);
  const rights = '(maintain, )?references, trigger, truncate revoked from';
  expect(said).toContainEqual(expect.stringMatching(`${rights} public$`));
  expect(said).toContainEqual(expect.stringMatching(`${rights} ${base.role}$`));
  expect(await base.protect('shop.items')).toEqual([]);
});

test('a tenant reads, writes and moves its own rows only [P-11, A-164]', async () => {
  await base.as(tenantA, `insert into shop.items (label) values ('a')`);
  await base.as(tenantB, `insert into shop.items (label) values ('b')`);
  expect(await base.as(tenantA, 'select label from shop.items')).toEqual([{ label: 'a' }]);
  for (const sql of [
    `insert into shop.items (tenant_id, label) values ('${tenantB}', 'x')`,
    `update shop.items set tenant_id = '${tenantB}'`,
  ]) {
    await expect(base.as(tenantA, sql)).rejects.toMatchObject({ code: '42501' });
  }
  expect(await base.as(tenantA, `delete from shop.items where label = 'b' returning 1`)).toEqual([]);
  await expect(base.runtime.query('select from shop.items')).rejects.toMatchObject({ code: '42501' });
  await expect(base.owner.query('select from shop.items')).rejects.toMatchObject({ code: '42501' });
});

test('another permissive policy opens no hole [P-21]', async () => {
  await base.owner.query('create policy everything on shop.items using (true) with check (true)');
  expect(await base.as(tenantA, 'select label from shop.items')).toEqual([{ label: 'a' }]);
  await expect(
    base.as(tenantA, `insert into shop.items (tenant_id, label) values ('${tenantB}', 'x')`),
  ).rejects.toMatchObject({ code: '42501' });
  await base.owner.query('drop policy everything on shop.items');
});

test('puts right a policy of its name that says something else', async () => {
  await base.owner.query('alter policy tenant_isolation on shop.items using (true)');
  expect(await base.protect('shop.items')).toEqual(['shop.items: policy tenant_isolation (permissive)']);
  expect(await base.protect('shop.items')).toEqual([]);
});

describe('refuses', () => {
  test('a table with rows and no tenant, and says what to do', async () => {
    await base.owner.query(`create table shop.old (label text); insert into shop.old values ('x')`);
    await expect(base.protect('shop.old')).rejects.toMatchObject({
      message: 'shop.old has rows, and no column tenant_id that says whose they are',
      hint: expect.stringContaining('alter table shop.old add column tenant_id uuid;'),
    });
    await base.owner.query('alter table shop.old add column tenant_id uuid');
    await expect(base.protect('shop.old')).rejects.toMatchObject({
      message: 'shop.old has rows without a tenant',
    });
    await base.owner.query(`update shop.old set tenant_id = '${tenantA}'`);
    expect(await base.protect('shop.old')).toContain('shop.old: column tenant_id not null');
  });

  test('a view, and a tenant that is a number', async () => {
    await base.owner.query(
      `create view shop.v as select 1 as one; create table shop.numbers (tenant_id int)`,
    );
    await expect(base.protect('shop.v')).rejects.toThrow('shop.v is not a table');
    await expect(base.protect('shop.numbers')).rejects.toThrow(
      'shop.numbers.tenant_id is of type integer, and a tenant is a uuid',
    );
  });

  test('who does not own the table', async () => {
    await expect(base.runtime.query(`select tenant.protect('shop.numbers')`)).rejects.toMatchObject({
      code: expect.stringMatching(/^42/),
    });
  });
});

test.each(['text', 'varchar(60)'])('a tenant of type %s is compared as text', async (type) => {
  const table = `shop.texts_${type.slice(0, 4)}`;
  await base.owner.query(`create table ${table} (tenant_id ${type} not null, label text)`);
  await base.protect(table);
  expect(await base.protect(table)).toEqual([]);
  await giveRows(table);
  await base.as(tenantA, `insert into ${table} (label) values ('a')`);
  expect(await base.as(tenantA, `select label from ${table}`)).toEqual([{ label: 'a' }]);
  expect(await base.as(tenantB, `select label from ${table}`)).toEqual([]);
});

test('names that need quotes, and a column of another name', async () => {
  await base.owner.query(`create table shop."Odd 'n" ("Org" uuid not null)`);
  const say = `select tenant.protect('shop."Odd ''n"', 'Org')`;
  expect((await base.owner.query(say)).rows).not.toEqual([]);
  expect((await base.owner.query(say)).rows).toEqual([]);
});

test('partitions come along, and cannot be read past their parent', async () => {
  await base.owner.query(`
    create table shop.events (at date not null) partition by range (at);
    create table shop.events_1 partition of shop.events for values from ('2020-01-01') to ('2021-01-01');
    create table shop.events_2 partition of shop.events for values from ('2021-01-01') to ('2022-01-01')
      partition by list (at);
    create table shop.events_2a partition of shop.events_2 default;
  `);
  await base.protect('shop.events');
  expect(await base.protect('shop.events')).toEqual([]);
  for (const table of ['events', 'events_1', 'events_2', 'events_2a']) await giveRows(`shop.${table}`);
  await base.as(tenantA, `insert into shop.events (at) values ('2020-05-05'), ('2021-05-05')`);
  for (const [table, count] of Object.entries({ events: 2, events_1: 1, events_2: 1, events_2a: 1 })) {
    expect(await base.as(tenantA, `select from shop.${table}`)).toHaveLength(count);
    expect(await base.as(tenantB, `select from shop.${table}`)).toHaveLength(0);
  }
});

test('keys without the tenant are told with the SQL that mends them [P-08, P-09, P-10]', async () => {
  await base.owner.query(`
    create table shop.users (id int primary key, email text);
    create unique index users_email on shop.users (lower(email));
    create table shop.posts (author int constraint posts_author references shop.users on delete cascade);
  `);
  const said = [...(await base.protect('shop.users')), ...(await base.protect('shop.posts'))];
  const told = said.filter((line) => line.includes('leaves tenant_id out'));
  expect(told).toEqual([
    'shop.users: key users_pkey leaves tenant_id out; mend: alter table shop.users drop constraint users_pkey, add constraint users_pkey primary key (tenant_id, id);',
    'shop.users: index shop.users_email leaves tenant_id out; mend: drop index shop.users_email; and create it again with tenant_id first',
    expect.stringMatching(/^shop\.posts: reference posts_author leaves tenant_id out; mend: alter table/),
  ]);
  await base.owner.query(told[2]!.split('mend: ')[1]!);
  expect(await base.protect('shop.posts')).toEqual([]);
  await base.owner.query(told[0]!.split('mend: ')[1]!);
  expect(await base.protect('shop.users')).toEqual([told[1]]);
});
