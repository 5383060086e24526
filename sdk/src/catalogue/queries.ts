/** $1: names of schemas, or an empty array for all that are somebody's own. */
export const schemas = `
  select n.oid::text as id, n.nspname::text as name
  from pg_namespace n
  where case when cardinality($1::text[]) > 0 then n.nspname = any ($1::text[])
    else n.nspname !~ '^pg_'
      and n.nspname <> 'information_schema'
      and not (n.nspname = 'tenant' and to_regprocedure('tenant.protect(regclass,name)') is not null)
      and not exists (
        select from pg_depend d
        where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e'
      )
    end
  order by n.nspname`;

/** What an extension brought is its own affair. The query around it has a pg_class named c. */
const own = `not exists (
    select from pg_depend e
    where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
  )`;

/** $1 in this query and in all that follow: object ids of schemas. */
export const tables = `
  select c.oid::text as id, n.nspname::text as schema, c.relname::text as name,
    case
      when c.relkind = 'f' then 'foreign'
      when c.relkind = 'p' then 'partitioned'
      when c.relispartition then 'partition'
      else 'table'
    end as kind,
    pg_get_userbyid(c.relowner)::text as owner,
    c.relrowsecurity as rls, c.relforcerowsecurity as forced,
    array(
      select i.inhparent::text from pg_inherits i where i.inhrelid = c.oid order by i.inhseqno
    ) as parents,
    greatest(c.reltuples, 0)::float8 as "estimatedRows"
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f') and n.oid = any ($1::oid[]) and ${own}
  order by n.nspname, c.relname`;

export const columns = `
  select a.attrelid::text as table, a.attname::text as name, a.attnum::int as number,
    format_type(a.atttypid, a.atttypmod) as type, a.atttypid::text as "typeId",
    a.attnotnull as "notNull",
    case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end as default,
    case a.attidentity when 'a' then 'always' when 'd' then 'default' end as identity,
    a.attgenerated <> '' as generated
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where c.relkind in ('r', 'p', 'f') and c.relnamespace = any ($1::oid[])
    and a.attnum > 0 and not a.attisdropped
  order by a.attrelid, a.attnum`;

export const policies = `
  select p.polname::text as name, p.polrelid::text as table, p.polpermissive as permissive,
    case p.polcmd
      when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
    end as command,
    array(select r.rolname::text from pg_roles r where r.oid = any (p.polroles) order by 1) as roles,
    pg_get_expr(p.polqual, p.polrelid) as using,
    pg_get_expr(p.polwithcheck, p.polrelid) as check
  from pg_policy p
  join pg_class c on c.oid = p.polrelid
  where c.relnamespace = any ($1::oid[])
  order by p.polrelid, p.polname`;

const action = (column: string) => `case ${column}
      when 'a' then 'no action' when 'r' then 'restrict' when 'c' then 'cascade'
      when 'n' then 'set null' when 'd' then 'set default'
    end`;

const columnNames = (relation: string, key: string) => `array(
      select a.attname::text
      from unnest(${key}) with ordinality as k (attnum, place)
      join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.attnum
      order by k.place
    )`;

/** A reference to a partitioned table has a row more for each of its partitions: those say nothing new. */
export const constraints = `
  select o.conname::text as name, o.conrelid::text as table,
    case o.contype
      when 'p' then 'primary' when 'u' then 'unique' when 'f' then 'foreign' when 'c' then 'check'
      else 'exclusion'
    end as kind,
    ${columnNames('o.conrelid', 'o.conkey')} as columns,
    pg_get_constraintdef(o.oid) as definition,
    o.conparentid <> 0 or not o.conislocal as inherited,
    o.confrelid::text as "referencedTable",
    ${columnNames('o.confrelid', 'o.confkey')} as "referencedColumns",
    ${action('o.confdeltype')} as "onDelete",
    ${action('o.confupdtype')} as "onUpdate"
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  where o.contype in ('p', 'u', 'f', 'c', 'x') and c.relnamespace = any ($1::oid[])
    and not exists (select from pg_constraint p where p.oid = o.conparentid and p.conrelid = o.conrelid)
  order by o.conrelid, o.conname`;

export const indexes = `
  select x.relname::text as name, i.indrelid::text as table,
    i.indisunique as unique, i.indisprimary as primary, i.indisvalid as valid,
    array(
      select coalesce(a.attname::text, '')
      from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k (attnum, place)
      left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum > 0
      order by k.place
    ) as columns,
    pg_get_expr(i.indpred, i.indrelid) as where,
    (
      select o.conname::text from pg_constraint o
      where o.conindid = i.indexrelid and o.conrelid = i.indrelid and o.contype in ('p', 'u', 'x')
    ) as constraint,
    exists (select from pg_inherits h where h.inhrelid = i.indexrelid) as inherited,
    pg_get_indexdef(i.indexrelid) as definition
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  join pg_class c on c.oid = i.indrelid
  where c.relkind in ('r', 'p') and c.relnamespace = any ($1::oid[])
  order by i.indrelid, x.relname`;

export const views = `
  select c.oid::text as id, n.nspname::text as schema, c.relname::text as name,
    pg_get_userbyid(c.relowner)::text as owner,
    c.relkind = 'm' as materialised,
    exists (
      select from pg_options_to_table(c.reloptions) o
      where o.option_name = 'security_invoker' and o.option_value::boolean
    ) as "securityInvoker",
    array(
      select distinct d.refobjid::text
      from pg_rewrite w
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
      join pg_class s on s.oid = d.refobjid and s.relkind in ('r', 'p', 'f', 'v', 'm')
      where w.ev_class = c.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid
    ) as reads
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('v', 'm') and n.oid = any ($1::oid[]) and ${own}
  order by n.nspname, c.relname`;

export const triggers = `
  select t.tgname::text as name, t.tgrelid::text as table, t.tgfoid::text as function,
    t.tgenabled <> 'D' as enabled
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  where not t.tgisinternal and c.relnamespace = any ($1::oid[])
  order by t.tgrelid, t.tgname`;

/** Every role may become those that it is a member of: an admin of one can grant itself the rest. */
export const roles = `
  with recursive member (role, of) as (
    select m.member, m.roleid from pg_auth_members m
    union
    select b.role, m.roleid from member b join pg_auth_members m on m.member = b.of
  )
  select r.oid::text as id, r.rolname::text as name, r.rolsuper as superuser,
    r.rolbypassrls as "bypassRls", r.rolcanlogin as "canLogin", r.rolcreaterole as "createRole",
    r.rolcreatedb as "createDatabase", r.rolreplication as replication,
    array(
      select b.rolname::text from member m join pg_roles b on b.oid = m.of where m.role = r.oid order by 1
    ) as "memberOf",
    not exists (
      select from pg_class c
      where c.relkind in ('r', 'p') and c.relnamespace = any ($1::oid[])
        and not (
          has_table_privilege(r.oid, c.oid, 'select') and has_schema_privilege(r.oid, c.relnamespace, 'usage')
        )
    ) as "readsAllTables"
  from pg_roles r
  order by r.rolname`;

export const defaults = `
  select coalesce(r.rolname::text, '') as role, coalesce(d.datname::text, '') as database,
    split_part(c.setting, '=', 1) as name, substr(c.setting, strpos(c.setting, '=') + 1) as value
  from pg_db_role_setting s
  left join pg_roles r on r.oid = s.setrole
  left join pg_database d on d.oid = s.setdatabase
  cross join unnest(s.setconfig) as c (setting)
  where s.setdatabase = 0 or d.datname = current_database()
  order by 1, 2, 3`;

export const publications = `
  select p.pubname::text as name, p.puballtables as "allTables",
    array(
      select distinct c.oid::text
      from pg_publication_tables t
      join pg_namespace n on n.nspname = t.schemaname
      join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
      where t.pubname = p.pubname and n.oid = any ($1::oid[])
    ) as tables
  from pg_publication p
  order by p.pubname`;

/** Catalogues of the server whose rows are cut from tables, or hold secrets. */
const telling = `'pg_statistic', 'pg_statistic_ext_data', 'pg_authid', 'pg_largeobject'`;

/**
 * The role and those that it may become, as `used`: `set role` needs no inheritance, and who administers a role can
 * grant it to itself. A superuser has every right anyway. $2: the role's object id.
 */
const used = `used (id) as materialized (
    select r.oid
    from pg_roles s
    join pg_roles r on r.oid = s.oid or (not s.rolsuper and pg_has_role(s.oid, r.oid, 'member'))
    where s.oid = $2::oid
  )`;

const someoneMay = (...conditions: string[]) =>
  `exists (select from used u where ${conditions.join(' and ')})`;

const mayUse = "has_schema_privilege(u.id, n.oid, 'usage')";

const through = (access: string, column: string) => `array(
      select distinct coalesce(g.rolname::text, 'public')
      from aclexplode(${access}) a
      left join pg_roles g on g.oid = a.grantee
      where lower(a.privilege_type) = ${column}
        and (a.grantee = 0 or pg_has_role($2::oid, a.grantee, 'member'))
      order by 1
    )`;

/** $2: the role's object id. What a role has in a schema that it may not use is none of its rights. */
export const grants = `
  with ${used}
  select 'database' as kind, d.oid::text as id, d.datname::text as object, v.privilege,
    ${through(`coalesce(d.datacl, acldefault('d', d.datdba))`, 'v.privilege')} as through
  from pg_database d
  cross join unnest(array['connect', 'create', 'temporary']) as v (privilege)
  where d.datname = current_database() and ${someoneMay('has_database_privilege(u.id, d.oid, v.privilege)')}
  union all
  select 'schema', n.oid::text, n.nspname::text, v.privilege,
    ${through(`coalesce(n.nspacl, acldefault('n', n.nspowner))`, 'v.privilege')}
  from pg_namespace n
  cross join unnest(array['usage', 'create']) as v (privilege)
  where n.oid = any ($1::oid[]) and ${someoneMay('has_schema_privilege(u.id, n.oid, v.privilege)')}
  union all
  select 'table', c.oid::text, n.nspname || '.' || c.relname, v.privilege,
    ${through(`coalesce(c.relacl, acldefault('r', c.relowner))`, 'v.privilege')}
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join unnest(
    array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']
      || case when current_setting('server_version_num')::int >= 170000 then array['maintain'] else '{}' end
  ) as v (privilege)
  where c.relkind in ('r', 'p', 'f', 'v', 'm')
    and (n.oid = any ($1::oid[]) or (n.nspname = 'pg_catalog' and c.relname in (${telling})))
    and ${someoneMay(mayUse, 'has_table_privilege(u.id, c.oid, v.privilege)')}
  union all
  select 'column', c.oid::text, n.nspname || '.' || c.relname || '.' || a.attname, v.privilege,
    ${through('a.attacl', 'v.privilege')}
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  cross join unnest(array['select', 'insert', 'update', 'references']) as v (privilege)
  where a.attacl is not null and not a.attisdropped and n.oid = any ($1::oid[])
    and ${someoneMay(mayUse, 'has_column_privilege(u.id, c.oid, a.attnum, v.privilege)')}
    and not ${someoneMay(mayUse, 'has_table_privilege(u.id, c.oid, v.privilege)')}
  union all
  select 'sequence', c.oid::text, n.nspname || '.' || c.relname, v.privilege,
    ${through(`coalesce(c.relacl, acldefault('s', c.relowner))`, 'v.privilege')}
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join unnest(array['usage', 'select', 'update']) as v (privilege)
  where n.oid = any ($1::oid[])
    -- The planner may ask about a table before it has looked at the kind, and that is an error.
    and case
      when c.relkind = 'S' then ${someoneMay(mayUse, 'has_sequence_privilege(u.id, c.oid, v.privilege)')}
      else false
    end
  union all
  select 'function', p.oid::text, n.nspname || '.' || p.proname, 'execute',
    ${through(`coalesce(p.proacl, acldefault('f', p.proowner))`, `'execute'`)}
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  where n.oid = any ($1::oid[]) and ${someoneMay(mayUse, `has_function_privilege(u.id, p.oid, 'execute')`)}
  order by 1, 3, 4`;

/** $2: the role's object id. Functions of other schemas come along but those that are not written in SQL. */
export const functions = `
  with ${used}
  select p.oid::text as id, n.nspname::text as schema, p.proname::text as name,
    pg_get_function_identity_arguments(p.oid) as arguments,
    pg_get_userbyid(p.proowner)::text as owner,
    l.lanname::text as language, p.prosecdef as definer, p.proleakproof as leakproof,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    p.proretset as "returnsSet",
    coalesce(pg_get_function_result(p.oid), 'void') as returns,
    coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as source,
    coalesce(p.proconfig, '{}') as settings,
    ${someoneMay(mayUse, `has_function_privilege(u.id, p.oid, 'execute')`)} as callable,
    x.extname::text as extension,
    n.oid = any ($1::oid[]) as examined
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
  left join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  left join pg_extension x on x.oid = d.refobjid
  where p.prokind <> 'a' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and (n.oid = any ($1::oid[]) or l.lanname not in ('c', 'internal'))
  order by n.nspname, p.proname, 4`;
