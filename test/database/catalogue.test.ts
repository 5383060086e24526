import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { migrate } from '#src/database/migrate.ts';
import { globalKeys, namedPolicies, tablesWithoutTenant } from '#src/database/protection-rules.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;
let superuser: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  // Rights on the database itself are not copied with the template.
  await migrate({ url: database.ownerUrl, runtimeRole: new URL(database.runtimeUrl).username });
  superuser = new pg.Client({ connectionString: database.superUrl });
  await superuser.connect();
});
afterAll(async () => {
  await superuser?.end();
  await database?.drop();
});

const forRuntime = (sql: string) => sql.replaceAll(':runtime', new URL(database.runtimeUrl).username);
const names = (exemptions: string[]) => exemptions.map((name) => `'${name}'`).join(', ');

/** Each gives no row for a sound database, and at least one after its breach. Stricter in `protection.ts`, and said twice on purpose. */
const lints: { rule: string; sql: string; breach: string }[] = [
  {
    rule: 'every table has forced row-level security [P-02, P-21]',
    sql: `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
      and not (relrowsecurity and relforcerowsecurity) and relname not in (${names(Object.keys(tablesWithoutTenant))})`,
    breach: 'alter table users no force row level security',
  },
  {
    rule: 'every policy limits what is read and what is written to the tenant [P-05, P-11, P-21]',
    sql: `select tablename, policyname from pg_policies where schemaname = 'public'
      and (qual is null or with_check is null or qual !~ 'current_tenant_id\\(\\)' or with_check !~ 'current_tenant_id\\(\\)')
      and tablename || '.' || policyname not in (${names(namedPolicies.map(({ table, policy }) => `${table}.${policy}`))})`,
    breach: 'create policy all_rows on users for select using (true)',
  },
  {
    rule: 'every policy is for every role [P-21]',
    sql: `select tablename, policyname from pg_policies where schemaname = 'public' and roles <> '{public}'`,
    breach: 'alter policy tenant_isolation on users to :runtime',
  },
  {
    rule: 'the runtime role is neither strong nor a member of any role [P-01]',
    sql: `select rolname from pg_roles where rolname = ':runtime'
        and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)
      union all
      select other.rolname from pg_roles me, pg_roles other
      where me.rolname = ':runtime' and other.oid <> me.oid and pg_has_role(me.oid, other.oid, 'member')`,
    breach: 'grant pg_read_all_data to :runtime',
  },
  {
    rule: 'the runtime role owns nothing [P-01]',
    sql: `select relname from pg_class where relowner = ':runtime'::regrole
      union all select proname from pg_proc where proowner = ':runtime'::regrole
      union all select nspname from pg_namespace where nspowner = ':runtime'::regrole
      union all select datname from pg_database where datdba = ':runtime'::regrole`,
    breach: 'create schema own authorization :runtime',
  },
  {
    rule: 'every foreign key carries the tenant [P-08, P-09]',
    sql: `select conrelid::regclass, conname from pg_constraint where contype = 'f' and not (
      select attnum from pg_attribute where attrelid = conrelid and attname = 'tenant_id') = any (conkey)`,
    breach:
      'alter table users add unique (id); alter table user_roles add foreign key (user_id) references users (id)',
  },
  {
    rule: 'every unique key starts with the tenant [P-10]',
    sql: `select indexrelid::regclass from pg_index join pg_class c on c.oid = indrelid
      where relnamespace = 'public'::regnamespace and indisunique
        and relname not in (${names(Object.keys(tablesWithoutTenant))})
        and indexrelid::regclass::text not in (${names(Object.keys(globalKeys))})
        and indkey[0] is distinct from (select attnum from pg_attribute where attrelid = indrelid and attname = 'tenant_id')`,
    breach: 'create unique index users_email on users (email)',
  },
  {
    rule: 'the runtime role and PUBLIC have no right that no policy restrains [P-12]',
    sql: `select table_name, privilege_type from information_schema.role_table_grants where table_schema = 'public'
      and grantee in (':runtime', 'PUBLIC') and (privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER') or grantee = 'PUBLIC')`,
    breach: 'grant truncate on users to :runtime',
  },
  {
    rule: 'no view shows what its owner sees [P-13]',
    sql: `select relname from pg_class where relnamespace = 'public'::regnamespace and (relkind = 'm' or relkind = 'v'
      and coalesce(not reloptions @> array['security_invoker=true'], true))`,
    breach: 'create view everybody as select * from users',
  },
  {
    rule: 'no function runs with other rights, before the policies, or for PUBLIC [P-14, P-16]',
    sql: `select proname from pg_proc where pronamespace = 'public'::regnamespace and (prosecdef or proleakproof
      or has_function_privilege('public', oid, 'execute'))`,
    breach: "create function one() returns integer language sql as 'select 1'",
  },
  {
    rule: 'no sequence counts the rows of all tenants [P-20]',
    sql: `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'S'`,
    breach: 'alter table users add number bigint generated always as identity',
  },
  {
    rule: 'nothing is told on a channel that everybody may listen on [P-20]',
    sql: `select proname from pg_proc where pronamespace = 'public'::regnamespace and prosrc ~* '\\mnotify\\M|pg_notify'`,
    breach:
      "create function tell() returns void language sql as $$ select pg_notify('users', 'alice@acme.test') $$",
  },
  {
    rule: 'the runtime role makes no objects, not even temporary ones that would hide ours [P-14, A-178]',
    sql: `select nspname from pg_namespace where has_schema_privilege(':runtime', oid, 'create')
      union all select datname from pg_database where datname = current_database()
        and (has_database_privilege(':runtime', oid, 'create') or has_database_privilege(':runtime', oid, 'temporary'))`,
    breach: 'create schema open; grant create on schema open to public',
  },
];

describe('section 7 of the requirements [A-176]', () => {
  test.each(lints)('$rule', async ({ sql, breach }) => {
    const find = async () => (await superuser.query(forRuntime(sql))).rows;
    expect(await find()).toEqual([]);
    await superuser.query('begin');
    await superuser.query(forRuntime(breach));
    expect(await find()).not.toEqual([]);
    await superuser.query('rollback');
    expect(await find()).toEqual([]);
  });
});

describe('every table has a decision [A-177, P-22]', () => {
  const dump = readFileSync(new URL('../../db/schema.sql', import.meta.url), 'utf8');
  const tables = [...dump.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name]) => name!);

  test.each(tables)('%s belongs to tenants, or is exempt with a reason', async (table) => {
    const { rows } = await superuser.query(
      `select attname, atttypid::regtype::text as type, attnotnull, exists (
        select from pg_policies where tablename = $1 and policyname = 'tenant_isolation' and cmd = 'ALL') as isolated
      from pg_attribute where attrelid = $1::regclass and attname = 'tenant_id'`,
      [table],
    );
    if (table in tablesWithoutTenant) {
      expect(rows).toEqual([]);
      expect(tablesWithoutTenant[table]).toMatch(/\w+ \w+/);
    } else {
      expect(rows).toEqual([{ attname: 'tenant_id', type: 'uuid', attnotnull: true, isolated: true }]);
    }
  });

  test('and nothing is exempt that does not exist', async () => {
    const { rows } = await superuser.query(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace
      union all select tablename || '.' || policyname from pg_policies where schemaname = 'public'`,
    );
    const present = rows.map(({ name }) => name);
    expect(present).toEqual(
      expect.arrayContaining([
        ...tables,
        ...Object.keys(tablesWithoutTenant),
        ...Object.keys(globalKeys),
        ...namedPolicies.map(({ table, policy }) => `${table}.${policy}`),
      ]),
    );
    expect(namedPolicies.filter(({ because }) => because.length < 20)).toEqual([]);
  });
});

interface Plan {
  'Node Type': string;
  'Parent Relationship'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  'Actual Loops': number;
  Plans?: Plan[];
  [key: string]: unknown;
}

describe('policies cost one look at the tenant per query [P-24]', () => {
  const tenant = '10000000-0000-4000-8000-000000000001';
  let reader: pg.Client;

  beforeAll(async () => {
    await runStatements(database.superUrl, [
      `insert into tenants (tenant_id, slug, name) select ('10000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'tenant-' || n, 'Tenant'
      from generate_series(1, 20) as n`,
      `insert into users (tenant_id, email) select tenant_id, 'user' || n || '@example.test' from tenants, generate_series(1, 100) as n`,
      `insert into roles (tenant_id, name) select tenant_id, 'role' || n from tenants, generate_series(1, 20) as n`,
      `insert into user_roles (tenant_id, user_id, role_name) select tenant_id, id, 'role1' from users`,
      `insert into known_devices (tenant_id, user_id, secret_hash, created_at, last_seen_at)
        select tenant_id, id, sha256(id::text::bytea), now(), now() from users`,
      `insert into tenant_domains (tenant_id, domain) select tenant_id, slug || '.test' from tenants`,
      `insert into clients (tenant_id, client_id, client_name, grant_types, token_endpoint_auth_method)
      select tenant_id, slug || '-' || n, 'Client', '{}', 'none' from tenants, generate_series(1, 20) as n`,
      `insert into client_secrets (tenant_id, client_id, secret_hash) select tenant_id, client_id, sha256(client_id::bytea) from clients`,
      `insert into resource_servers (tenant_id, identifier, name) select tenant_id, 'https://api' || n, 'API' from tenants, generate_series(1, 20) as n`,
      `insert into signing_keys (tenant_id, kid, alg, public_jwk, sealed_private_jwk) select tenant_id, 'kid' || n, 'ES256', '{}', '' from tenants, generate_series(1, 20) as n`,
      `insert into server_secrets (tenant_id, name, sealed_secret) select tenant_id, 'cookie_key', '' from tenants, generate_series(1, 20) as n`,
      `insert into protocol_store (tenant_id, key, model, grant_key, session_key, user_id, sealed_payload, expires_at)
      select tenant_id, sha256((slug || n)::bytea), 'Test', sha256((slug || 'g' || n)::bytea), sha256((slug || 'u' || n)::bytea), gen_random_uuid(), '', now() + n * interval '1 s'
      from tenants, generate_series(1, 200) as n`,
      `insert into sessions (tenant_id, uid_key, key, user_id, sealed_payload, expires_at, ends_at)
      select tenant_id, sha256(('u' || id)::bytea), sha256(('k' || id)::bytea), id, '', now() + interval '1 h', now() + interval '1 h' from users`,
      'analyze',
    ]);
    reader = new pg.Client({ connectionString: database.runtimeUrl });
    await reader.connect();
    await reader.query("select set_config('app.current_tenant_id', $1, false)", [tenant]);
    // Small tables are cheaper to read whole; what counts here is that an index could serve.
    await reader.query('set enable_seqscan = off');
  });
  afterAll(() => reader?.end());

  async function explain(sql: string): Promise<{ initPlans: Plan[]; subPlans: Plan[]; conditions: string }> {
    const { rows } = await reader.query(`explain (analyze, verbose, format json) ${sql}`);
    const nodes: Plan[] = [];
    const walk = (plan: Plan) => {
      nodes.push(plan);
      plan.Plans?.forEach(walk);
    };
    walk(rows[0]['QUERY PLAN'][0].Plan);
    return {
      initPlans: nodes.filter((node) => node['Parent Relationship'] === 'InitPlan'),
      subPlans: nodes.filter((node) => node['Parent Relationship'] === 'SubPlan'),
      conditions: nodes
        .flatMap((node) => (node['Index Cond'] ? [`${node['Index Name']}: ${node['Index Cond']}`] : []))
        .join('\n'),
    };
  }

  const perTenant = [
    'tenants',
    'tenant_domains',
    'roles',
    'users',
    'user_roles',
    'known_devices',
    'clients',
    'client_secrets',
    'resource_servers',
    'signing_keys',
    'server_secrets',
    'protocol_store',
    'sessions',
    'mails',
  ];

  test('in every table but those that are read before the tenant is known', async () => {
    const { rows } = await superuser.query(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity`,
    );
    expect([...perTenant, 'directory', 'config_changes'].sort()).toEqual(rows.map(({ name }) => name).sort());
  });

  test.each(perTenant)('all rows of %s: by an index on tenant_id', async (table) => {
    const { initPlans, subPlans, conditions } = await explain(`select * from ${table}`);
    expect(initPlans.length).toBeGreaterThan(0);
    expect(initPlans.filter((plan) => plan['Actual Loops'] > 1)).toEqual([]);
    expect(subPlans).toEqual([]);
    expect(conditions).toMatch(/tenant_id = /);
    expect(conditions).not.toMatch(/current_tenant_id\(\)|current_setting/);
  });

  test.each([
    [
      'a user by address',
      `select * from users where email = 'user7@example.test'`,
      /users_tenant_id_email_key: .*tenant_id = .*email = /,
    ],
    ['the roles of a user', `select * from user_roles where user_id = gen_random_uuid()`, /tenant_id = /],
    [
      'the secrets of a client',
      `select * from client_secrets where client_id = 'tenant-1-1'`,
      /tenant_id = .*client_id = /,
    ],
    [
      'what a code or token names',
      `select * from protocol_store where key = sha256('x')`,
      /protocol_store_(p?key): .*key = /,
    ],
    [
      'a session by its uid',
      `select * from sessions where uid_key = sha256('x')`,
      /sessions_pkey: .*tenant_id = .*uid_key = /,
    ],
    [
      'a session by its cookie',
      `select * from sessions where key = sha256('x')`,
      /sessions_tenant_id_key_key: .*tenant_id = .*key = /,
    ],
    [
      'the sessions of a user',
      `select * from sessions where user_id = '${tenant}'`,
      /sessions_user_id: .*tenant_id = .*user_id = /,
    ],
    [
      'sessions that are over',
      `select * from sessions where ends_at < now() - interval '1 hour'`,
      /sessions_ends_at: .*tenant_id = .*ends_at < /,
    ],
    [
      'what was given out under a session',
      `delete from protocol_store where user_id = '${tenant}' and session_key = sha256('x')`,
      /protocol_store_user_session: .*user_id = .*session_key = /,
    ],
    [
      'what a grant led to',
      `delete from protocol_store where grant_key = sha256('x')`,
      /protocol_store_grant_key: .*tenant_id = .*grant_key = /,
    ],
    [
      'what has expired',
      `select * from protocol_store where expires_at < now() - interval '1 hour'`,
      /protocol_store_expires_at: .*tenant_id = .*expires_at < /,
    ],
    [
      'the tenant of a name',
      `select * from directory where kind = 'slug' and key_hash = sha256('x')`,
      /directory_pkey: .*kind = .*key_hash = /,
    ],
    [
      'what changed',
      `select * from config_changes where changed_in >= '1'`,
      /config_changes_changed_in: .*changed_in >= /,
    ],
  ])('%s: by the index for it', async (_, sql, expected) => {
    const { initPlans, subPlans, conditions } = await explain(sql);
    expect(conditions).toMatch(expected);
    expect(initPlans.filter((plan) => plan['Actual Loops'] > 1)).toEqual([]);
    expect(subPlans).toEqual([]);
  });
});
