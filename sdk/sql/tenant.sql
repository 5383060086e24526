-- The SQL kit of @tessera/rls, for PostgreSQL 15 to 18: no superuser, no extension. Run it as the owner of your
-- tables, alone or in a migration, as often as you like: it replaces itself. One statement, so that it is all or
-- nothing with every client, and many may run it at once.
do $kit$
begin
perform pg_advisory_xact_lock(7215004);

if to_regnamespace('tenant') is null then
  create schema tenant;
end if;
grant usage on schema tenant to public;

-- The tenant of this transaction. Raises (42501) when there is none, and when it is empty, which is what a setting
-- of a transaction leaves behind on its connection: a query without a tenant is an error and not an empty page.
-- No exception block and no `set` clause: neither is for parallel workers, and both cost at every call.
create or replace function tenant.id() returns uuid
language plpgsql stable parallel safe
as $body$
declare
  setting text := pg_catalog.current_setting('app.current_tenant_id', true);
begin
  if pg_catalog.length(setting) > 0 then
    return setting::pg_catalog.uuid;
  end if;
  raise exception 'no tenant is set for this transaction'
    using errcode = '42501', hint = 'Run it inside of withTenant(), or set app.current_tenant_id with set_config(…, true).';
end
$body$;

-- A claim of the token of this transaction as text; null without one.
create or replace function tenant.claim(name text) returns text
language sql stable parallel safe
return nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::json ->> name;

-- Whether the token of this transaction has the scope; false without a token.
create or replace function tenant.has_scope(scope text) returns boolean
language sql stable parallel safe
return coalesce(scope <> '' and scope = any (string_to_array(tenant.claim('scope'), ' ')), false);

-- Gives a table to its tenants: the column with its default, row-level security that binds the owner too, a policy
-- that shows the tenant's rows and a restrictive one that no other policy can widen, an index that leads with the
-- tenant, and no right that goes past the policies. Says each thing that it did, and nothing when all was there;
-- keys that leave the tenant out are not changed but told, with the SQL that mends them.
create or replace function tenant.protect(target regclass, tenant_column name default 'tenant_id') returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set row_security = off
as $body$
declare
  kind "char";
  is_partition boolean;
  owner_id oid;
  found_rows boolean;
  col pg_attribute;
  col_default text;
  expression text;
  existing pg_policy;
  wanted record;
  held record;
  child record;
begin
  select relkind, relispartition, relowner into kind, is_partition, owner_id from pg_class where oid = target;
  if kind is null or kind not in ('r', 'p') then
    raise exception '% is not a table', target
      using errcode = '42809', hint = 'A view is safe with security_invoker = true over protected tables; a foreign table cannot be protected.';
  end if;

  select * into col from pg_attribute where attrelid = target and attname = tenant_column and not attisdropped;
  if col.attrelid is null then
    if is_partition then
      raise exception '% is a partition without a column %', target, tenant_column
        using errcode = '42703', hint = 'Protect the partitioned table: its partitions come along.';
    end if;
    execute format('select exists (select from %s)', target) into found_rows;
    if found_rows then
      raise exception '% has rows, and no column % that says whose they are', target, tenant_column
        using errcode = '55000',
          hint = format('Run: alter table %s add column %I uuid; then fill it for every row, and protect the table again.', target, tenant_column);
    end if;
    -- Without a default at first: PostgreSQL would ask for the tenant of this transaction.
    execute format('alter table %s add column %I uuid not null', target, tenant_column);
    return next format('%s: column %I uuid not null', target, tenant_column);
    select * into col from pg_attribute where attrelid = target and attname = tenant_column;
  end if;
  if col.atttypid not in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype) then
    raise exception '%.% is of type %, and a tenant is a uuid', target, tenant_column, format_type(col.atttypid, col.atttypmod)
      using errcode = '42804', hint = 'Change the type of the column to uuid.';
  end if;
  if not col.attnotnull then
    begin
      execute format('alter table %s alter column %I set not null', target, tenant_column);
    exception when not_null_violation then
      raise exception '% has rows without a tenant', target
        using errcode = '23502', hint = format('Fill %I in every row, and protect the table again.', tenant_column);
    end;
    return next format('%s: column %I not null', target, tenant_column);
  end if;

  expression := case when col.atttypid = 'uuid'::regtype then 'tenant.id()' else '(tenant.id())::text' end;
  select pg_get_expr(adbin, adrelid) into col_default from pg_attrdef where adrelid = target and adnum = col.attnum;
  if col_default is null then
    execute format('alter table %s alter column %I set default %s', target, tenant_column, expression);
    return next format('%s: column %I default %s', target, tenant_column, expression);
  end if;

  if not (select relrowsecurity from pg_class where oid = target) then
    execute format('alter table %s enable row level security', target);
    return next format('%s: row level security', target);
  end if;
  if not (select relforcerowsecurity from pg_class where oid = target) then
    execute format('alter table %s force row level security', target);
    return next format('%s: row level security for the owner too', target);
  end if;

  expression := format(
    '(%s = ( SELECT %s))',
    case when col.atttypid = 'varchar'::regtype then format('(%I)::text', tenant_column) else quote_ident(tenant_column) end,
    case when col.atttypid = 'uuid'::regtype then 'tenant.id() AS id' else '(tenant.id())::text AS id' end
  );
  for wanted in
    select * from (values ('tenant_isolation', true, 'permissive'), ('tenant_boundary', false, 'restrictive')) as w (name, permissive, word)
  loop
    select * into existing from pg_policy where polrelid = target and polname = wanted.name;
    if existing.oid is not null then
      continue when existing.polpermissive = wanted.permissive and existing.polcmd = '*' and existing.polroles = '{0}'
        and pg_get_expr(existing.polqual, target) = expression and pg_get_expr(existing.polwithcheck, target) = expression;
      execute format('drop policy %I on %s', wanted.name, target);
    end if;
    execute format('create policy %I on %s as %s using %s with check %s', wanted.name, target, wanted.word, expression, expression);
    return next format('%s: policy %s (%s)', target, wanted.name, wanted.word);
  end loop;

  if not exists (
    select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
    where i.indrelid = target and i.indkey[0] = col.attnum and i.indpred is null and i.indisvalid and m.amname = 'btree'
  ) then
    execute format('create index on %s (%I)', target, tenant_column);
    return next format('%s: index on (%I)', target, tenant_column);
  end if;

  -- Row-level security stops none of these.
  for held in
    select coalesce(quote_ident(r.rolname), 'public') as grantee, string_agg(distinct lower(a.privilege_type), ', ') as privileges
    from (
      select (aclexplode(relacl)).* from pg_class where oid = target
      union all
      select (aclexplode(attacl)).* from pg_attribute where attrelid = target and not attisdropped
    ) a
    left join pg_roles r on r.oid = a.grantee
    where a.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN') and a.grantee <> owner_id
    group by 1 order by 1
  loop
    execute format('revoke %s on %s from %s cascade', held.privileges, target, held.grantee);
    return next format('%s: %s revoked from %s', target, held.privileges, held.grantee);
  end loop;

  for child in select i.inhrelid::regclass as name, c.relkind from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = target loop
    if child.relkind = 'f' then
      return next format('%s: a foreign table cannot be protected; run: revoke all on %s from public; and from the application''s role', child.name, child.name);
    else
      return query select tenant.protect(child.name, tenant_column);
    end if;
  end loop;
  if not is_partition then
    return query select tenant.keys_to_mend(target, tenant_column);
  end if;
end
$body$;

-- Keys of the table that leave the tenant out, each with the SQL that mends it. A unique key tells whether another
-- tenant has a value, and a foreign key reaches another tenant's row, since neither asks a policy.
create or replace function tenant.keys_to_mend(target regclass, tenant_column name default 'tenant_id') returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  with keys as (
    select o.*,
      (select string_agg(quote_ident(a.attname), ', ' order by k.place)
        from unnest(o.conkey) with ordinality k (num, place) join pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.num) as own,
      (select string_agg(quote_ident(a.attname), ', ' order by k.place)
        from unnest(o.confkey) with ordinality k (num, place) join pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.num) as other
    from pg_constraint o
    where o.conrelid = target and o.conparentid = 0
      and not exists (
        select from pg_attribute a
        where a.attrelid = target and a.attname = tenant_column and a.attnum = any (o.conkey)
      )
  )
  select format(
    '%s: key %I leaves %I out; mend: alter table %s drop constraint %I, add constraint %I %s (%I, %s);',
    target, conname, tenant_column, target, conname, conname,
    case contype when 'p' then 'primary key' else 'unique' end, tenant_column, own
  )
  from keys where contype in ('p', 'u')
  union all
  select format('%s: index %s leaves %I out; mend: drop index %s; and create it again with %I first', target, i.indexrelid::regclass, tenant_column, i.indexrelid::regclass, tenant_column)
  from pg_index i
  where i.indrelid = target and i.indisunique
    and not exists (select from pg_constraint o where o.conindid = i.indexrelid and o.conrelid = target)
    and not exists (
      select from pg_attribute a where a.attrelid = target and a.attname = tenant_column and a.attnum = any (i.indkey)
    )
  union all
  select format('%s: reference %I leaves %I out; mend: ', target, conname, tenant_column)
    -- The check of what is there runs as the owner, whom the policies would bind.
    || format('alter table %s no force row level security; ', target) || (
      select case when relforcerowsecurity then format('alter table %s no force row level security; ', oid::regclass) else '' end
      from pg_class where oid = confrelid
    ) || format(
      'alter table %s add unique (%I, %s); alter table %s drop constraint %I, add constraint %I foreign key (%I, %s) references %s (%I, %s)%s; ',
      confrelid::regclass, tenant_column, other, target, conname, conname,
      tenant_column, own, confrelid::regclass, tenant_column, other,
      case confdeltype
        when 'c' then ' on delete cascade' when 'r' then ' on delete restrict'
        when 'n' then format(' on delete set null (%s)', own) when 'd' then format(' on delete set default (%s)', own)
        else ''
      end
    ) || (
      select case when relforcerowsecurity then format('alter table %s force row level security; ', oid::regclass) else '' end
      from pg_class where oid = confrelid
    ) || format('alter table %s force row level security;', target)
  from keys
  where contype = 'f'
    and exists (select from pg_attribute a where a.attrelid = confrelid and a.attname = tenant_column and not a.attisdropped)
$body$;
end
$kit$;
