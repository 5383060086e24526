import { expect, test } from '@jest/globals';
import { found } from './found.ts';

const table = (policies: string, name = 't', type = 'uuid') => `
  create table s.${name} (tenant_id ${type} not null, id int not null, owner_id uuid, primary key (tenant_id, id));
  alter table s.${name} enable row level security;
  alter table s.${name} force row level security;
  ${policies}`;

const supabase = `
  create function auth.jwt() returns jsonb language sql stable
  as $$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
  create function auth.uid() returns uuid language sql stable
  as $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;`;

test('a policy on the claims of the token is a tenant’s, and silent without one [P-03]', async () => {
  expect(
    await found(
      table(`create policy p on s.t
        using (tenant_id = (select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'tenant_id')::uuid))
        with check (tenant_id = (select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'tenant_id')::uuid));`),
    ),
  ).toEqual(['P-03/silent-migration s.t']);
});

test('functions that read the claims are followed, also into schemas that are not looked at [P-05, P-24]', async () => {
  const policies = (uid: string, org: string) => `
    create policy by_org on s.t using (tenant_id = ${org}) with check (tenant_id = ${org});
    create policy by_user on s.t for select using (owner_id = ${uid});`;
  const org = `((auth.jwt() ->> 'tenant_id')::uuid)`;
  expect(await found(supabase + table(policies('(select auth.uid())', `(select ${org})`)))).toEqual([
    'P-03/silent-migration s.t',
  ]);
  expect(await found(supabase + table(policies('auth.uid()', org)))).toEqual([
    'P-03/silent-migration s.t',
    'P-24/per-row-policy policy by_org on s.t',
    'P-24/per-row-policy policy by_user on s.t',
  ]);
  const careless = supabase.replaceAll(/nullif\((current_setting\([^)]*\)), ''\)/g, '$1');
  expect(await found(careless + table(policies('(select auth.uid())', `(select ${org})`)))).toEqual([
    'P-03/silent-migration s.t',
    'P-05/empty-setting policy by_org on s.t',
    'P-05/empty-setting policy by_user on s.t',
  ]);
});

test('who is logged in says nothing of the rows [P-21]', async () => {
  expect(
    await found(
      supabase +
        table(`create policy p on s.t
          using ((select auth.uid()) is not null) with check ((select auth.uid()) is not null);`),
    ),
  ).toEqual(['P-21/open-policy policy p on s.t']);
});

test('a restrictive policy bounds what permissive ones open, for its commands only [P-11, P-21]', async () => {
  const open = 'create policy everything on s.t using (true) with check (true);';
  const own = 'tenant_id = (select tenant.id())';
  expect(
    await found(table(`${open} create policy b on s.t as restrictive using (${own}) with check (${own});`)),
  ).toEqual([]);
  expect(
    await found(table(`${open} create policy b on s.t as restrictive for select using (${own});`)),
  ).toEqual(['P-21/open-policy policy everything on s.t']);
});

test('a policy for each command [P-11]', async () => {
  const own = 'tenant_id = (select tenant.id())';
  expect(
    await found(
      table(`
        create policy r on s.t for select using (${own});
        create policy i on s.t for insert with check (${own});
        create policy u on s.t for update using (${own}) with check (${own});
        create policy d on s.t for delete using (${own});`),
    ),
  ).toEqual([]);
  expect(
    await found(
      table(`
        create policy r on s.t for select using (${own});
        create policy i on s.t for insert with check (id > 0);
        create policy u on s.t for update using (${own});`),
    ),
  ).toEqual(['P-11/no-check policy u on s.t', 'P-11/open-check policy i on s.t']);
});

test('rows of a child table follow those of its parent [P-22]', async () => {
  const own = 'tenant_id = (select tenant.id())';
  const parent = table(`create policy p on s.t using (${own}) with check (${own});`);
  const child = (policy: string) => `${parent}
    create table s.lines (t_tenant uuid, t_id int, foreign key (t_tenant, t_id) references s.t);
    alter table s.lines enable row level security, force row level security;
    ${policy}`;
  const exists = 'exists (select from s.t where t.id = lines.t_id)';
  expect(await found(child(`create policy p on s.lines using (${exists}) with check (${exists});`))).toEqual(
    [],
  );
  expect(await found(child('create policy p on s.lines using (t_id > 0);'))).toEqual([
    'P-11/no-check policy p on s.lines',
    'P-21/open-policy policy p on s.lines',
    'P-22/undecided-table s.lines',
  ]);
});

test('a setting of another name, as text, without a cast [P-05]', async () => {
  const own = `tenant_id = (select current_setting('my.org'))`;
  const sql = table(`create policy p on s.t using (${own}) with check (${own});`, 't', 'text');
  expect(await found(sql, { settings: ['my.org'] })).toEqual([
    'P-03/silent-migration s.t',
    'P-05/empty-setting policy p on s.t',
  ]);
});

test('names of another kind, and tables that are shared [P-02, P-22]', async () => {
  const sql = `
    create table s."Order Lines" ("orgId" uuid, id int, primary key ("orgId", id));
    create table s.countries (code text primary key);`;
  expect(await found(sql, { tenantColumns: ['tenant_id', 'orgId'] })).toEqual([
    'P-02/no-rls s."Order Lines"',
    'P-22/undecided-table s.countries',
  ]);
  expect(
    await found(sql, {
      tenantColumns: ['orgId'],
      shared: { 's.countries': 'a list of the world', 's.gone': 'dropped', 's.Order Lines': 'no' },
    }),
  ).toEqual([
    'P-22/shared-writable s."Order Lines"',
    'P-22/shared-writable s.countries',
    'P-22/stale-decision s.gone',
  ]);
});

test('a function that guards what its owner may, with a path of its own and for one role only [P-14]', async () => {
  const own = 'tenant_id = (select tenant.id())';
  const guarded = `${table(`create policy p on s.t using (${own}) with check (${own});`)}
    create function s.f() returns bigint language sql stable security definer set search_path = s, pg_temp
    as $$ select count(*) from s.t $$;
    revoke execute on function s.f() from public;
    grant execute on function s.f() to :runtime;`;
  expect(await found(guarded)).toEqual([]);
  expect(await found(`${guarded} alter table s.t no force row level security;`)).toEqual([
    'P-02/unforced-rls s.t',
    'P-14/definer-bypasses function s.f()',
  ]);
});

test('SQL from values, and SQL from names that are quoted [P-17]', async () => {
  const f = (name: string, body: string) =>
    `create function s.${name}(v text) returns void language plpgsql as $f$ declare q text; begin ${body} end $f$;`;
  expect(
    await found(
      f('a', `execute 'select ' || v;`) +
        f('b', `q := format('select %s', v); execute q;`) +
        f('c', `execute format('select %I from x where y = %L', v, v);`) +
        f('d', `execute 'select * from ' || quote_ident(v) || ' where 1 = $1' using v;`) +
        f('e', `execute 'select 1'; raise notice '%s', v || v;`) +
        f('g', `execute concat('select ', v);`),
    ),
  ).toEqual([
    'P-17/dynamic-sql function s.a(v text)',
    'P-17/dynamic-sql function s.b(v text)',
    'P-17/dynamic-sql function s.g(v text)',
  ]);
});

test('partitions and children of inheritance that nobody may name are their parents’ affair [P-02]', async () => {
  const own = 'tenant_id = (select tenant.id())';
  expect(
    await found(
      `
      create table s.p (tenant_id uuid not null, at date not null, primary key (tenant_id, at)) partition by range (at);
      create table s.p1 partition of s.p default;
      alter table s.p enable row level security, force row level security;
      create policy p on s.p using (${own}) with check (${own});
      alter table s.p1 set schema auth;`,
      { schemas: ['s', 'auth'] },
    ),
  ).toEqual([]);
});

const nullif = `(select nullif(current_setting('app.current_tenant_id', true), '')::uuid)`;
const strict = `(select current_setting('app.current_tenant_id')::uuid)`;
const own = (value: string) =>
  `create policy p on s.t using (tenant_id = ${value}) with check (tenant_id = ${value});`;

test('the form with nullif is right where nobody logs in as the owner [P-03, P-05, P-24]', async () => {
  expect(await found(`${table(own(nullif))} reset role; alter role :owner nologin; set role :owner`)).toEqual(
    [],
  );
});

test('a condition is as wide as the widest of its alternatives [P-21]', async () => {
  const open = `create policy p on s.t using (tenant_id = ${strict} or id > 5) with check (tenant_id = ${strict});`;
  expect(await found(table(open))).toEqual(['P-21/open-policy policy p on s.t']);
  const both = `create policy p on s.t using (tenant_id = ${strict} or (owner_id = ${strict} and (id > 5 or id < 2)))
    with check (tenant_id = ${strict});`;
  expect(await found(table(both))).toEqual([]);
});

test('a policy without any condition is told as what it is [P-21]', async () => {
  const lost = `${own(strict)} create policy lost on s.t for insert;`;
  expect(await found(table(lost))).toEqual(['P-21/policy-grants-nothing policy lost on s.t']);
});

test('a primary key that nobody can guess tells nothing, a unique e-mail address does [P-10]', async () => {
  const keys = `${table(own(strict))}
    create table s.users (id uuid primary key default gen_random_uuid(), tenant_id uuid not null, email text unique);
    create index on s.users (tenant_id);
    alter table s.users enable row level security;
    alter table s.users force row level security;
    ${own(strict).replace('s.t', 's.users')}`;
  expect(await found(keys)).toEqual(['P-10/key-without-tenant constraint users_email_key on s.users']);
});
