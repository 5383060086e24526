import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { runStatements, type TestServer, testServerVariable } from '../../../test/support/postgres.ts';
import type { Report } from '../../src/prove/report.ts';
import { loadSql } from '../schemas/load.ts';
import { found, proveAt, proveSql } from './proving.ts';

const superUrl = () => (JSON.parse(process.env[testServerVariable]!) as TestServer).superUrl;

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
  // The keys are random: who takes a value must know it already.
  expect(found(report)).toEqual(['P-22/undecided-table shop.bad']);
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

describe('a login role that only becomes others', () => {
  const login = `
    create schema shop; create role :backup_login nologin;
    grant usage on schema shop to :backup_login; alter role :runtime noinherit; grant :backup_login to :runtime;`;
  const sql = (check: string) =>
    `${login}
    create table shop.t (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id));
    alter table shop.t enable row level security, force row level security;
    create policy own on shop.t to :backup_login using (tenant_id = (select tenant.id())) with check (${check});
    grant select, insert, update, delete on shop.t to :backup_login;`;
  const proveLogin = async (check: string) => {
    const name = `rls_login_${randomBytes(4).toString('hex')}`;
    const loaded = await loadSql(sql(check).replaceAll(':backup_login', name));
    const report = await proveAt(loaded.superUrl, { role: loaded.roles.runtime });
    await loaded.drop();
    await runStatements(superUrl(), [`drop role ${name}`]);
    return { name, report };
  };

  test('is tried as those: nothing gets through', async () => {
    const { name, report } = await proveLogin('tenant_id = (select tenant.id())');
    expect(report.findings).toEqual([]);
    expect(report.controls.map(({ what, worked }) => [what, worked])).toEqual(
      expect.arrayContaining([
        [`read own row, as ${name}`, true],
        [`insert an own row, as ${name}`, true],
      ]),
    );
  });

  test('is tried as those: what gets through is told', async () => {
    const { name, report } = await proveLogin('true');
    expect(found(report)).toEqual(['P-11/open-check policy own on shop.t']);
    expect(through(report)).toContain(`another tenant (as ${name}): insert with the other’s tenant`);
  });
});

test('a runtime role without any right proves nothing', async () => {
  const loaded = await loadSql(
    `create schema shop; ${table('t').replace(/grant .*/, '')} grant usage on schema shop to :runtime;`,
  );
  const report = await proveAt(loaded.superUrl, { role: loaded.roles.runtime });
  await loaded.drop();
  expect(found(report)).toEqual([`P-00/not-proved role ${loaded.roles.runtime}`]);
});

test('a user is a member of its tenant: rows of users have the id that the token names, in other schemas too', async () => {
  const report = await proved(
    `create schema auth;
    create table auth.users (id uuid primary key, email text unique);
    create function auth.uid() returns uuid language sql stable as $$ select (current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid $$;
    grant usage on schema auth to :runtime;
    create table shop.teams (id uuid primary key default gen_random_uuid(), created_by uuid not null references auth.users);
    create table shop.members (user_id uuid not null references auth.users, team_id uuid not null references shop.teams, primary key (team_id, user_id));
    create function shop.my_teams() returns setof uuid language sql stable security definer set search_path = '' as $$ select team_id from shop.members where user_id = auth.uid() $$;
    create table shop.documents (id uuid primary key default gen_random_uuid(), team_id uuid not null references shop.teams, title text);
    ${['members', 'documents']
      .map(
        (name) => `alter table shop.${name} enable row level security, force row level security;
      create policy own on shop.${name} using (team_id in (select shop.my_teams()));`,
      )
      .join('\n')}
    alter table shop.teams enable row level security, force row level security;
    create policy own on shop.teams using (id in (select shop.my_teams()));
    grant select, insert, update, delete on all tables in schema shop to :runtime;`,
    { schemas: ['shop'], tenantColumns: ['team_id'], settings: [] },
  );
  expect(report.unfilled).toEqual([]);
  expect(report.controls.filter(({ worked, what }) => !worked && what === 'read own row')).toEqual([]);
  expect(found(report)).toEqual([]);
});
