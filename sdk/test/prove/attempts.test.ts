import { describe, expect, test } from '@jest/globals';
import { runStatements } from '../../../test/support/postgres.ts';
import type { Report } from '../../src/prove/report.ts';
import { loadSql } from '../schemas/load.ts';
import { found, proveAt, proveSql } from './proving.ts';

const own = '(tenant_id = (select tenant.id()))';
const rest = `using ${own} with check ${own}`;
const table = (name: string, columns = 'label text', policies = [rest]) => `
  create table shop.${name} (tenant_id uuid not null, id uuid not null, ${columns}, primary key (tenant_id, id));
  alter table shop.${name} enable row level security, force row level security;
  ${policies.map((policy, index) => `create policy p${index} on shop.${name} ${policy};`).join('\n')}
  grant select, insert, update, delete on shop.${name} to :runtime;`;

const proved = (sql: string, options = {}): Promise<Report> =>
  proveSql(`create schema shop; grant usage on schema shop to :runtime;\n${sql}`, options);

const through = (report: Report) =>
  report.attempts.filter(({ outcome }) => outcome === 'got through').map(({ what, as }) => `${as}: ${what}`);

describe('a policy that', () => {
  test('lets everything pass where no setting was ever made is seen on a fresh connection only [P-05, P-21]', async () => {
    const setting = `current_setting('app.current_tenant_id', true)`;
    const report = await proved(
      table('t', 'label text', [`using (${setting} is null or tenant_id::text = ${setting})`]),
    );
    expect(found(report)).toEqual(['P-21/open-policy policy p0 on shop.t']);
    expect(through(report).every((line) => line.startsWith('no tenant (fresh connection)'))).toBe(true);
    expect(through(report)).toContain('no tenant (fresh connection): read (count)');
  });

  test('lets everything pass where the setting is empty is seen on a used one [P-05, P-21]', async () => {
    const setting = `coalesce(current_setting('app.current_tenant_id', true), 'x')`;
    const report = await proved(
      table('t', 'label text', [`using (${setting} = '' or tenant_id::text = ${setting})`]),
    );
    expect(found(report)).toEqual(['P-21/open-policy policy p0 on shop.t']);
    expect(through(report)).toEqual(
      expect.arrayContaining([
        'an empty tenant: delete',
        'no tenant (connection reused): read (select)',
        'no tenant (after a rollback): update',
      ]),
    );
    expect(through(report).some((line) => line.startsWith('another tenant:'))).toBe(false);
  });

  test('shows rows of one kind to all is seen, whatever kind rows are made of [P-21]', async () => {
    const report = await proved(
      `create type shop.state as enum ('draft', 'public');
      ${table('a', `state shop.state not null default 'draft'`, [rest, `for select using (state = 'public')`])}
      ${table('b', `visible_to text`, [rest, `for select using (visible_to = 'everybody')`])}
      ${table('c', 'deleted_at timestamptz default now()', [rest, 'for select using (deleted_at is null)'])}`,
    );
    expect(found(report)).toEqual([
      'P-21/open-policy policy p1 on shop.a',
      'P-21/open-policy policy p1 on shop.b',
      'P-21/open-policy policy p1 on shop.c',
    ]);
    expect(through(report)).toEqual(
      expect.arrayContaining([
        'another tenant: read (state = public)',
        'another tenant: read (deleted_at = null)',
      ]),
    );
  });

  test('lets delete what cannot be seen is seen without a condition', async () => {
    const report = await proved(
      table('t', 'label text', [
        `for select using ${own}`,
        `for insert with check ${own}`,
        'for delete using (true)',
        `for update using (true) with check (true)`,
      ]),
    );
    expect(through(report)).toEqual(
      expect.arrayContaining([
        'another tenant: delete without a condition',
        'another tenant: update without a condition',
        'another tenant: move without a condition',
      ]),
    );
    expect(report.findings[0]?.rule).toMatch(/^P-(11|21)\//);
  });
});

describe('a function', () => {
  test('that asks for an id and has the rights of a superuser gives a row, changes one, and tells by an error [P-14]', async () => {
    const report = await proved(`
      ${table('t', 'label text not null')}
      create function shop.one(p_id uuid) returns text language sql security definer as $$ select label from shop.t where id = p_id $$;
      create function shop.drop_all(tenant uuid) returns void language sql security definer as $$ delete from shop.t where tenant_id = tenant $$;
      create procedure shop.clean() language sql security definer as $$ delete from shop.t $$;
      create function shop.tell() returns void language plpgsql security definer as $$ begin raise exception 'found %', (select string_agg(label, ',') from shop.t); end $$;
      create function shop.shout() returns void language plpgsql security definer as $$ begin raise notice 'found %', (select string_agg(label, ',') from shop.t); end $$;
      create function shop.total() returns bigint language sql security definer as $$ select count(*) from shop.t $$;
      create function shop.echo(value text) returns text language sql security definer as $$ select value $$;
      create function shop.mine() returns setof shop.t language sql security definer as $$ select * from shop.t where tenant_id = tenant.id() $$;
      create function shop.hidden() returns setof shop.t language sql security definer as $$ select * from shop.t $$;
      revoke execute on function shop.hidden from public;`);
    expect(found(report).sort()).toEqual(
      ['clean()', 'drop_all(tenant uuid)', 'one(p_id uuid)', 'shout()', 'tell()', 'total()']
        .map((name) => `P-14/definer-bypasses function shop.${name}`)
        .sort(),
    );
  });
});

describe('a view', () => {
  test('of its owner gives rows, sums and ways to write [P-13]', async () => {
    const report = await proved(`
      ${table('t', 'label text')}
      create view shop.rows as select * from shop.t;
      create view shop.total as select count(*) from shop.t;
      create view shop.good with (security_invoker = true) as select * from shop.t;
      create view shop.nested as select * from shop.good;
      create view shop.random as select random() as r from shop.good;
      grant select, insert, update, delete on shop.rows to :runtime;
      grant select on shop.total, shop.good, shop.random to :runtime;`);
    expect(found(report)).toEqual(['P-13/view-of-owner shop.rows', 'P-13/view-of-owner shop.total']);
    expect(through(report)).toEqual(
      expect.arrayContaining([
        'another tenant: delete through the view',
        'another tenant: update through the view',
        'another tenant: insert with the other’s tenant through the view',
        'another tenant: tell from the view that a row was added',
      ]),
    );
  });
});

test('a key that cascades on update reaches the other’s row [P-09]', async () => {
  const report = await proved(`
    ${table('users', 'unique (id)')}
    ${table('a', 'user_id uuid, constraint to_user foreign key (user_id) references shop.users (id) on update cascade')}
    ${table('b', 'user_id uuid, constraint to_user foreign key (user_id) references shop.users (id) on delete set null')}`);
  expect(found(report)).toEqual(
    expect.arrayContaining([
      'P-09/cascade-without-tenant constraint to_user on shop.a',
      'P-09/cascade-without-tenant constraint to_user on shop.b',
    ]),
  );
});

test('rows that belong to a tenant by their parent are tried as well', async () => {
  const report = await proved(
    `
    ${table('orders')}
    create table shop.good (id uuid primary key default gen_random_uuid(), tenant uuid not null, order_id uuid not null, foreign key (tenant, order_id) references shop.orders);
    alter table shop.good enable row level security, force row level security;
    create policy by_order on shop.good using (exists (select from shop.orders o where o.tenant_id = tenant and o.id = order_id));
    create table shop.bad (id uuid primary key default gen_random_uuid(), tenant uuid not null, order_id uuid not null, foreign key (tenant, order_id) references shop.orders);
    grant select, insert, update, delete on shop.good, shop.bad to :runtime;
    create table shop.countries (code char(2) primary key);
    grant select on shop.countries to :runtime;
    create table shop.closed (id int primary key);`,
    { shared: { 'shop.countries': 'everybody’s' } },
  );
  expect(found(report)).toEqual([
    'P-10/key-without-tenant constraint good_pkey on shop.good',
    'P-22/undecided-table shop.bad',
  ]);
  expect(report.notes).toContain('shop.closed: the runtime role has no rights there');
});

describe('a connection', () => {
  test('that starts as a tenant [P-07]', async () => {
    const loaded = await loadSql(
      `create schema shop; grant usage on schema shop to :runtime; ${table('t')}
      alter role :runtime set app.current_tenant_id = '7f3bb5ab-37b8-4d53-8a9c-6b8f3c1c0d11';`,
    );
    const report = await proveAt(loaded.superUrl, { role: loaded.roles.runtime });
    await loaded.drop();
    expect(found(report)).toEqual([`P-07/default-tenant role ${loaded.roles.runtime}`]);
    expect(report.attempts.find(({ what }) => /set no tenant/.test(what))?.detail).toMatch(
      /a row of this tenant was seen/,
    );
  });

  test.each(['superuser', 'bypassrls'])('of a runtime role that is %s sees all [P-01]', async (attribute) => {
    const loaded = await loadSql(`create schema shop; grant usage on schema shop to :runtime; ${table('t')}`);
    await runStatements(loaded.superUrl, [`alter role ${loaded.roles.runtime} ${attribute}`]);
    const report = await proveAt(loaded.superUrl, { role: loaded.roles.runtime });
    await loaded.drop();
    expect(found(report)).toContain(
      `P-01/${attribute === 'superuser' ? 'superuser' : 'bypass-rls'} role ${loaded.roles.runtime}`,
    );
  });
});
