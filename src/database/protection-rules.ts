/** Tables without a tenant, each with its reason. Any other is a problem: whoever adds a table decides about it. */
export const tablesWithoutTenant: Record<string, string> = {
  schema_migrations: 'names and checksums of the migrations, which the runtime role may only read',
  rate_limits:
    'counters by address, client and account, whose keys are keyed hashes: most count what comes before a tenant is known',
};

/** Keys that are unique over all tenants, and why they tell nothing of another tenant. */
export const globalKeys: Record<string, string> = {
  directory_pkey: 'it makes slugs, domains and client ids unique over all tenants; its keys are hashes',
};

export const ownTenant = 'tenant_id = (select current_tenant_id())';
const ownTenantIfAny =
  "tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid)";

export interface NamedPolicy {
  table: string;
  policy: string;
  command: '*' | 'r' | 'w';
  using: string;
  check?: string;
  because: string;
}

/** The policies that say something else than `ownTenant`. A policy widens what a role sees, so each has its reason. */
export const namedPolicies: NamedPolicy[] = [
  {
    table: 'directory',
    policy: 'tenant_isolation',
    command: '*',
    using: ownTenantIfAny,
    check: ownTenant,
    because:
      'it is read before the tenant is known, and then shows nothing by this policy instead of raising',
  },
  {
    table: 'directory',
    policy: 'by_presented_key',
    command: 'r',
    using: 'key_hash = (select presented_key())',
    because: 'it finds the tenant of the slug, domain or client_id that a caller names',
  },
  {
    table: 'config_changes',
    policy: 'tenant_isolation',
    command: '*',
    using: ownTenantIfAny,
    check: ownTenant,
    because: 'every node reads the table without a tenant',
  },
  {
    table: 'config_changes',
    policy: 'read_all',
    command: 'r',
    using: 'true',
    because: 'it holds tenant ids and transaction numbers only, so that every node learns what to read again',
  },
  {
    table: 'protocol_store',
    policy: 'tenant_isolation',
    command: '*',
    using: 'tenant_id = (select protocol_tenant_id())',
    check: ownTenant,
    because: 'a code or token is looked up before its tenant is known; with neither tenant nor key it raises',
  },
  {
    table: 'protocol_store',
    policy: 'by_presented_key',
    command: 'r',
    using: 'key = (select presented_key())',
    because: 'the bearer of a code or token may read the row that it names',
  },
];

export const tenantTables = `
  select c.oid, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity, a.attnum as tenant_column,
    a.atttypid = 'uuid'::regtype and a.attnotnull as well_typed
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`;

/** One sentence per problem. Parameters: tables without a tenant, global keys. */
export const tableRules = `
  with tenant_tables as (${tenantTables})
  select format('table %s has no tenant_id: give it one, or name it with its reason as a table without a tenant', relname) as problem
  from pg_class c
  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'f') and relname <> all ($1::text[])
    and not exists (select from tenant_tables t where t.oid = c.oid)
  union all
  select format('table %s: tenant_id is not uuid not null', relname) from tenant_tables where not well_typed
  union all
  select format('table %s: row-level security is not enabled', relname) from tenant_tables where not relrowsecurity
  union all
  select format('table %s: row-level security is not forced, so its owner sees every tenant', relname)
  from tenant_tables where not relforcerowsecurity
  union all
  select format('table %s: foreign key %s does not carry tenant_id, so it reaches into other tenants', own.relname, conname)
  from pg_constraint k
  join tenant_tables own on own.oid = k.conrelid
  join tenant_tables other on other.oid = k.confrelid
  where k.contype = 'f' and not exists (
    select from unnest(k.conkey, k.confkey) as pair (own_column, other_column)
    where own_column = own.tenant_column and other_column = other.tenant_column
  )
  union all
  select format('table %s: unique key %s does not start with tenant_id, so it tells of rows of other tenants', t.relname, k.relname)
  from pg_index i
  join tenant_tables t on t.oid = i.indrelid
  join pg_class k on k.oid = i.indexrelid
  where (i.indisunique or i.indisexclusion) and i.indkey[0] <> t.tenant_column and k.relname <> all ($2::text[])
  union all
  select format('view %s is not security_invoker, so it shows what its owner sees', relname)
  from pg_class
  where relnamespace = 'public'::regnamespace and relkind = 'v' and not exists (
    select from pg_options_to_table(reloptions) where option_name = 'security_invoker' and option_value::boolean
  )
  union all
  select format('materialized view %s holds rows that no policy guards', relname)
  from pg_class where relnamespace = 'public'::regnamespace and relkind = 'm'
  union all
  select format('function %s is security definer, so it runs with the rights of its owner', oid::regprocedure)
  from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
  union all
  select format('function %s is leakproof, so it runs on rows before the policies do', oid::regprocedure)
  from pg_proc where pronamespace = 'public'::regnamespace and proleakproof`;

export const policiesOfTables = `
  with tenant_tables as (${tenantTables})
  select t.relname as table, p.polname as policy, p.polcmd as command, p.polpermissive as permissive,
    p.polroles = '{0}' as for_all_roles,
    pg_get_expr(p.polqual, t.oid) as using, pg_get_expr(p.polwithcheck, t.oid) as check
  from tenant_tables t left join pg_policy p on p.polrelid = t.oid
  order by 1, 2`;

/** Ways round the policies that a role may have, for itself or through a role that it may become. */
export const roleRules = `
  with me as (
    select oid, rolname, rolsuper from pg_roles where rolname in (current_user, session_user)
  ), schemas as (
    -- Ours and the job queue's.
    select oid from pg_namespace where nspname in ('public', 'pgboss')
  ), powers as (
    select oid, 'is a superuser' as power from pg_roles where rolsuper
    union all
    select oid, 'has BYPASSRLS' from pg_roles where rolbypassrls
    union all
    select oid, 'has CREATEROLE' from pg_roles where rolcreaterole
    union all
    select oid, 'has REPLICATION' from pg_roles where rolreplication
    union all
    select oid, 'reaches the files of the server' from pg_roles
    where rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    union all
    select datdba, format('owns database %s', datname) from pg_database where datname = current_database()
    union all
    select relowner, 'owns tables ' || string_agg(relname, ', ' order by relname)
    from pg_class join schemas on schemas.oid = relnamespace where relkind in ('r', 'p', 'v', 'm') group by 1
    union all
    select proowner, 'owns functions ' || string_agg(pg_proc.oid::regprocedure::text, ', ' order by proname)
    from pg_proc join schemas on schemas.oid = pronamespace group by 1
  )
  select format('role %s %s', me.rolname, power) as problem from me join powers using (oid)
  union all
  select format('role %s is a member of role %s, which %s', me.rolname, other.rolname, min(power))
  from me
  join pg_roles other on other.oid <> me.oid and pg_has_role(me.oid, other.oid, 'member')
  join powers on powers.oid = other.oid
  where not me.rolsuper
  group by me.rolname, other.rolname
  union all
  select format('role %s has %s on table %s, which no policy restrains', me.rolname, privilege, relname)
  from me, schemas join pg_class c on c.relnamespace = schemas.oid, unnest(array['TRUNCATE', 'REFERENCES', 'TRIGGER']) as privilege
  where c.relkind in ('r', 'p')
    and not pg_has_role(me.oid, c.relowner, 'member')
    and (
      has_table_privilege(me.oid, c.oid, privilege)
      or privilege = 'REFERENCES' and has_any_column_privilege(me.oid, c.oid, privilege)
    )`;
