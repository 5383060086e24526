-- The tenant boundary itself: the settings that policies read, the tenants, and the directory that finds a tenant before it is known.

-- Raises instead of returning nothing, so that a query without a tenant is an error and not an empty page.
-- After a transaction-local set_config the setting is '' and not null in the next transaction of the connection.
create function current_tenant_id() returns uuid
language plpgsql stable parallel safe
as $$
begin
  if coalesce(current_setting('app.current_tenant_id', true), '') = '' then
    raise exception 'no tenant is set for this transaction' using errcode = '42501';
  end if;
  return current_setting('app.current_tenant_id')::uuid;
end
$$;

-- The key that the caller holds (hex of a hash); it opens exactly the row that it names.
create function presented_key() returns bytea
language sql stable parallel safe
as $$ select decode(nullif(current_setting('app.presented_key', true), ''), 'hex') $$;

-- Applied to every tenant table: forced, and one policy that is evaluated once per query.
create procedure protect_tenant_table(target regclass)
language plpgsql
as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant_isolation on %s using (tenant_id = (select current_tenant_id())) with check (tenant_id = (select current_tenant_id()))',
    target
  );
end
$$;

create table tenants (
  tenant_id uuid primary key,
  slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name text not null check (name <> ''),
  status text not null default 'active' check (status in ('active', 'disabled')),
  settings jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
call protect_tenant_table('tenants');

-- Which tenant owns a slug, an e-mail domain or a client_id. Keys are hashes; nothing here is personal.
-- A row shows itself only to the transaction that presents its key, or that runs under its tenant.
create table directory (
  kind text not null check (kind in ('slug', 'domain', 'client')),
  key_hash bytea not null,
  tenant_id uuid not null references tenants on delete cascade,
  primary key (kind, key_hash)
);
create index directory_tenant_id on directory (tenant_id);
alter table directory enable row level security;
alter table directory force row level security;
create policy by_presented_key on directory for select
  using (key_hash = (select presented_key()));
create policy tenant_isolation on directory
  using (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))
  with check (tenant_id = (select current_tenant_id()));

-- The kind is part of the hash: a slug never answers for a client_id of the same spelling.
create function directory_key(kind text, key text) returns bytea
language sql immutable parallel safe
as $$ select sha256(convert_to(kind || chr(31) || key, 'UTF8')) $$;

-- Keeps the directory true in the transaction of the change. Arguments: kind, column.
create function sync_directory() returns trigger
language plpgsql
as $$
declare
  old_key text := case when tg_op <> 'INSERT' then to_jsonb(old) ->> tg_argv[1] end;
  new_key text := case when tg_op <> 'DELETE' then to_jsonb(new) ->> tg_argv[1] end;
begin
  if old_key is not distinct from new_key then
    return null;
  end if;
  if old_key is not null then
    delete from directory where kind = tg_argv[0] and key_hash = directory_key(tg_argv[0], old_key);
  end if;
  if new_key is not null then
    insert into directory (kind, key_hash, tenant_id) values (tg_argv[0], directory_key(tg_argv[0], new_key), new.tenant_id);
  end if;
  return null;
end
$$;

create trigger sync_directory after insert or update or delete on tenants
  for each row execute function sync_directory('slug', 'slug');

create table tenant_domains (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  domain text not null check (domain = lower(domain) and domain <> ''),
  verified_at timestamptz not null default now(),
  primary key (tenant_id, domain)
);
call protect_tenant_table('tenant_domains');
create trigger sync_directory after insert or update or delete on tenant_domains
  for each row execute function sync_directory('domain', 'domain');

-- One row per tenant, stamped with the transaction that last changed its configuration. Nodes poll it to drop what they cached;
-- it holds tenant ids and transaction numbers only, so every node may read all of it. No foreign key: it outlives a deleted tenant.
create table config_changes (
  tenant_id uuid primary key,
  changed_in xid8 not null
);
create index config_changes_changed_in on config_changes (changed_in);
alter table config_changes enable row level security;
alter table config_changes force row level security;
create policy read_all on config_changes for select using (true);
create policy tenant_isolation on config_changes
  using (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))
  with check (tenant_id = (select current_tenant_id()));

-- Deferred to the end of the transaction, so that the row is locked only while it commits, and once per transaction is enough.
create function note_config_change() returns trigger
language plpgsql
as $$
declare
  changed_tenant uuid := coalesce(new.tenant_id, old.tenant_id);
  stamp text := pg_current_xact_id()::text || ':' || changed_tenant::text;
begin
  if current_setting('app.config_change', true) is distinct from stamp then
    insert into config_changes (tenant_id, changed_in) values (changed_tenant, pg_current_xact_id())
    on conflict (tenant_id) do update set changed_in = excluded.changed_in;
    perform set_config('app.config_change', stamp, true);
  end if;
  return null;
end
$$;

create procedure watch_config_table(target regclass)
language plpgsql
as $$
begin
  execute format(
    'create constraint trigger note_config_change after insert or update or delete on %s deferrable initially deferred for each row execute function note_config_change()',
    target
  );
end
$$;
call watch_config_table('tenants');
call watch_config_table('tenant_domains');

-- The platform is a tenant too: it owns shared clients, shared resource servers, signing keys and server secrets.
select set_config('app.current_tenant_id', '00000000-0000-4000-8000-000000000001', true);
insert into tenants (tenant_id, slug, name) values ('00000000-0000-4000-8000-000000000001', 'platform', 'Platform');
