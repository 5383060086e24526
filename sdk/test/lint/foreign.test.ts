import { describe, expect, test } from '@jest/globals';
import { findings, found, isSql } from './found.ts';

// Shapes of schemas that others wrote, where a finding or its fix was once wrong.

const forced = (name: string) => `alter table s.${name} enable row level security, force row level security;`;
const own = 'tenant_id = (select tenant.id())';
const isolated = (name: string) =>
  `${forced(name)} create policy p on s.${name} using (${own}) with check (${own});`;

describe('policies', () => {
  const open = (policy: string) => `
    create table s.t (tenant_id uuid not null, id int not null, primary key (tenant_id, id));
    ${isolated('t')} ${policy}`;

  test('without a condition grant, or restrict, nothing [P-11, P-21]', async () => {
    expect(
      await found(
        open(`create policy a on s.t for select; create policy b on s.t for insert; create policy c on s.t;
          create policy d on s.t as restrictive for update;`),
      ),
    ).toEqual(['a', 'b', 'c', 'd'].map((name) => `P-21/policy-grants-nothing policy ${name} on s.t`));
    expect(
      await findings(open('create policy a on s.t; create policy b on s.t for insert;'), {}, { mend: true }),
    ).toEqual([]);
  });

  test('on a table without a tenant column are mended by their own condition, or by a decision [P-11]', async () => {
    const said = await findings(`
      create table s.teams (id uuid not null);
      ${forced('teams')}
      create policy a on s.teams for update using (id = (select tenant.id()));
      create policy b on s.teams for select;`);
    expect(said.map(({ rule }) => rule)).toEqual(['P-11/no-check', 'P-21/policy-grants-nothing']);
    expect(said[0]!.fix).toMatch(/^alter policy a on s\.teams with check \(.*tenant\.id\(\)/);
    expect(said.map(({ fix }) => fix).join()).not.toContain('undefined');
  });

  test('for one role are left behind by who may become another [P-21]', async () => {
    const sql = (to: string) => `
      create table s.t (tenant_id uuid not null, id int not null, primary key (tenant_id, id));
      ${forced('t')}
      create policy p on s.t ${to} using (true) with check (true);
      create policy b on s.t as restrictive to :runtime using (${own}) with check (${own});
      reset role; grant :bypass to :runtime; alter role :bypass nobypassrls; set role :owner;`;
    const named = async (to: string) => (await found(sql(to))).filter((line) => line.startsWith('P-21'));
    expect(await named('')).toEqual(['P-21/open-policy policy p on s.t']);
    expect(await named('to :runtime')).toEqual([]);
  });

  test('with an OR that has an open side show what that side shows [P-21]', async () => {
    const policy = (condition: string) => `
      create table s.t (tenant_id uuid not null, id int not null, note text, primary key (tenant_id, id));
      ${forced('t')}
      create policy p on s.t using (${condition}) with check (${own});`;
    expect(await found(policy(`${own} or note like '%'`))).toEqual(['P-21/open-policy policy p on s.t']);
    expect(await found(policy(`(${own} and id > 1) or (${own} and (note is null or id < 0))`))).toEqual([]);
  });

  test('without a claim are silent whichever function asks for it, and whomever the permissive ones are for [P-03]', async () => {
    const jwt = `create function auth.jwt() returns jsonb language sql stable
      as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
      create table s.t (tenant_id uuid not null, id int not null, primary key (tenant_id, id));
      ${forced('t')}`;
    const claim = `tenant_id = (select (auth.jwt() ->> 'tenant_id')::uuid)`;
    const boundary = `create policy b on s.t as restrictive using (${claim}) with check (${claim});`;
    expect(await found(`${jwt} ${boundary} create policy p on s.t for select using (true);`)).toEqual([
      'P-03/silent-migration s.t',
    ]);
    const [said] = await findings(
      `${jwt} ${boundary} create policy p on s.t for select to :runtime using (true);`,
    );
    expect(said).toMatchObject({
      rule: 'P-03/silent-migration',
      fix: expect.stringMatching(/^No policy is for /),
    });
  });
});

describe('fixes for a tenant that is a text', () => {
  const table =
    'create table s.t (tenant_id varchar(21) not null, id int not null, primary key (tenant_id, id));';

  test('survive the empty setting [P-02, P-05, P-18]', async () => {
    const mended = { withKit: false, mend: true };
    const byRole = `${table} ${forced('t')} create policy p on s.t using (tenant_id = current_user) with check (tenant_id = current_user);`;
    const careless = `${table} ${forced('t')} create policy p on s.t using (tenant_id = (select current_setting('app.current_tenant_id')))
      with check (tenant_id = (select current_setting('app.current_tenant_id', true)));`;
    for (const sql of [table, byRole, careless]) {
      const left = await findings(sql, {}, mended);
      // A text takes every value, so nothing raises: data has to be migrated by somebody else.
      expect(left.map(({ rule }) => rule)).toEqual(['P-03/silent-migration']);
      expect(left.filter(isSql)).toEqual([]);
    }
  });
});

describe('keys', () => {
  test('whose tenants are columns of different kinds are a decision [P-08, P-09]', async () => {
    const said = await findings(
      `create table s.groups (org_id text not null, id int primary key);
       create table s.members (team_id int not null, id int not null, group_id int references s.groups on delete cascade, primary key (team_id, id));`,
      { tenantColumns: ['team_id', 'org_id'] },
    );
    const keys = said.filter(({ rule }) => /^P-(09|10)/.test(rule));
    expect(keys.map(({ rule }) => rule)).toEqual(['P-09/cascade-without-tenant', 'P-10/key-without-tenant']);
    expect(keys.filter(isSql)).toEqual([]);
    expect(keys[0]!.fix).toContain('s.members says its tenant by team_id, s.groups by org_id');
  });

  test('by which other tables name their tenant, and random ones, are right without it [P-10]', async () => {
    const sql = `
      create table s.teams (tenant_id uuid not null, id uuid primary key, slug text unique);
      create table s.notes (id uuid primary key default gen_random_uuid(), tenant_id uuid not null, team_id uuid references s.teams (id));
      create table s.guessed (id uuid primary key, tenant_id uuid not null);
      create index on s.teams (tenant_id); create index on s.notes (team_id); create index on s.guessed (tenant_id);`;
    const named = (await found(sql, { tenantColumns: ['team_id', 'tenant_id'] })).filter((line) =>
      line.startsWith('P-10'),
    );
    expect(named).toEqual([
      'P-10/key-without-tenant constraint guessed_pkey on s.guessed',
      'P-10/key-without-tenant constraint teams_slug_key on s.teams',
    ]);
  });
});

describe('functions of policies', () => {
  const helper = `
    create table s.members (tenant_id uuid not null, user_id uuid not null, primary key (tenant_id, user_id));
    alter table s.members enable row level security;
    create function s.tenants() returns setof uuid language sql stable security definer set search_path = s, pg_temp
    as $$ select tenant_id from s.members where user_id = current_setting('app.user')::uuid $$;
    create function s.is_mine(t uuid) returns boolean language sql stable as $$ select t in (select s.tenants()) $$;
    create policy p on s.members using ((select s.is_mine(tenant_id))) with check ((select s.is_mine(tenant_id)));`;

  test('keep their owner’s rights, and the runtime role its right to call them [P-14]', async () => {
    const said = await findings(helper);
    const of = (rule: string) => said.find((finding) => finding.rule === rule)!.fix;
    expect(of('P-14/definer-bypasses')).toMatch(/^A policy calls it/);
    expect(of('P-14/definer-for-everybody')).toMatch(
      /^revoke execute on routine s\.tenants\(\) from public;\ngrant execute on routine s\.tenants\(\) to rls_runtime_\w+;$/,
    );
  });
});

describe('risks follow rights and policies', () => {
  const risk = async (sql: string, granted = true) =>
    (await findings(sql, {}, { granted })).map(({ rule, risk }) => `${rule}: ${risk}`);

  test('of a tenant table without row-level security [P-02]', async () => {
    const sql = 'create table s.t (tenant_id uuid not null, id int not null, primary key (tenant_id, id))';
    expect(await risk(sql)).toEqual(['P-02/no-rls: every query sees and changes the rows of all tenants']);
    expect(await risk(sql, false)).toEqual([
      'P-02/no-rls: the runtime role has no right on it: the first that somebody grants opens the rows of all tenants',
    ]);
  });

  test('of a table without a tenant [P-22]', async () => {
    const undecided = async (sql: string) => (await risk(sql)).filter((line) => line.startsWith('P-22'));
    const says = (deeds: string) => [
      `P-22/undecided-table: it says no tenant and no policy asks for one: every tenant may ${deeds} rows of all`,
    ];
    const table = 'create table s.t (id int);';
    expect(await undecided(table)).toEqual(says('read, add, change, delete'));
    expect(
      await undecided(`${table} ${forced('t')} create policy p on s.t for select using (true);`),
    ).toEqual(says('read'));
    expect(
      await undecided(
        `${table} ${forced('t')} create policy a on s.t for select; create policy b on s.t for insert with check (true);`,
      ),
    ).toEqual(says('add'));
    expect(await undecided(`${table} ${forced('t')} create policy a on s.t for select;`)).toEqual([]);
  });
});
