-- The twin of plain-pitfalls.sql: tables of a small shop without the SQL kit, each policy written out.
create schema app authorization :owner;
grant usage on schema app to :runtime, :backup;
set role :owner;

create function app.current_tenant() returns uuid language sql stable
as $$ select nullif(current_setting('app.current_tenant_id', true), '')::uuid $$;

create table app.tenants (id uuid primary key default gen_random_uuid(), name text not null);
alter table app.tenants enable row level security;
alter table app.tenants force row level security;
create policy own_row on app.tenants for select to :runtime
  using (id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid));

create table app.users (
  tenant_id uuid not null references app.tenants (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  email text not null,
  manager_id uuid,
  primary key (tenant_id, id),
  unique (tenant_id, email),
  foreign key (tenant_id, manager_id) references app.users (tenant_id, id) on delete set null (manager_id)
);
alter table app.users enable row level security;
alter table app.users force row level security;
create policy tenant_isolation on app.users
  using (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid));

-- A random key of its own, and the one with the tenant for those that refer to it.
create table app.orders (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null default nullif(current_setting('app.current_tenant_id', true), '')::uuid,
  user_id uuid not null,
  number text not null,
  notes text,
  unique (tenant_id, id),
  constraint orders_number unique (tenant_id, number),
  foreign key (tenant_id, user_id) references app.users (tenant_id, id) on delete cascade
);
alter table app.orders enable row level security;
alter table app.orders force row level security;
create policy orders_select on app.orders for select to :runtime
  using ((select nullif(current_setting('app.current_tenant_id', true), '')::uuid) = tenant_id);
create policy orders_insert on app.orders for insert to :runtime
  with check ((select nullif(current_setting('app.current_tenant_id', true), '')::uuid) = tenant_id);
create policy orders_update on app.orders for update to :runtime
  using ((select nullif(current_setting('app.current_tenant_id', true), '')::uuid) = tenant_id)
  with check ((select nullif(current_setting('app.current_tenant_id', true), '')::uuid) = tenant_id);
create policy orders_delete on app.orders for delete to :runtime
  using ((select nullif(current_setting('app.current_tenant_id', true), '')::uuid) = tenant_id);

create table app.items (
  tenant_id uuid not null,
  id uuid not null default gen_random_uuid(),
  order_id uuid not null,
  label text,
  primary key (tenant_id, id),
  foreign key (tenant_id, order_id) references app.orders (tenant_id, id) on delete cascade
);
create unique index items_label on app.items (tenant_id, order_id, lower(label)) where label is not null;
alter table app.items enable row level security, force row level security;
create policy tenant_isolation on app.items for all to :runtime
  using (tenant_id = (select app.current_tenant()))
  with check (tenant_id = (select app.current_tenant()));
create policy only_tenant on app.items as restrictive to :runtime
  using (tenant_id = (select app.current_tenant()))
  with check (tenant_id = (select app.current_tenant()));

create table app.events (
  tenant_id uuid not null,
  id uuid not null default gen_random_uuid(),
  at timestamptz not null default now(),
  body jsonb,
  primary key (tenant_id, id, at)
) partition by range (at);
create table app.events_default partition of app.events default;
alter table app.events enable row level security, force row level security;
create policy tenant_isolation on app.events
  using (tenant_id = ((select nullif(current_setting('request.jwt.claims', true), '')::jsonb) ->> 'tenant_id')::uuid)
  with check (tenant_id = ((select nullif(current_setting('request.jwt.claims', true), '')::jsonb) ->> 'tenant_id')::uuid);

create table app.public_notes (tenant_id uuid not null, id uuid not null default gen_random_uuid(), is_public boolean not null default false, primary key (tenant_id, id));
alter table app.public_notes enable row level security, force row level security;
create policy tenant_isolation on app.public_notes
  using (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid) and (is_public or true))
  with check (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid));

create table app.settings (tenant_id uuid primary key references app.tenants (id), theme text);
alter table app.settings enable row level security, force row level security;
create policy tenant_isolation on app.settings
  using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
  with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));

create view app.order_list with (security_invoker = on) as select o.id, o.number, u.email from app.orders o join app.users u on u.id = o.user_id;

create function app.order_count() returns bigint language sql stable security definer set search_path = app, pg_temp
as $$ select count(*) from app.orders where tenant_id = app.current_tenant() $$;
revoke all on function app.order_count() from public;
grant execute on function app.order_count() to :runtime;

create function app.import_items(rows jsonb) returns void language sql
as $$ insert into app.items (tenant_id, order_id, label) select app.current_tenant(), r.order_id, r.label from jsonb_to_recordset(rows) as r (order_id uuid, label text) $$;

create function app.search(term text, sort text) returns setof app.orders language plpgsql stable
as $$ begin
  return query execute format('select * from app.orders where tenant_id = $1 and notes ilike $2 order by %I', sort) using app.current_tenant(), '%' || term || '%';
end $$;

create function app.tell_order() returns trigger language plpgsql
as $$ begin
  perform pg_notify('orders', json_build_object('id', new.id)::text);
  return new;
end $$;
create trigger tell_order after insert on app.orders for each row execute function app.tell_order();

create function app.next_number() returns text language plpgsql
as $$ begin
  perform pg_advisory_xact_lock(hashtext(app.current_tenant()::text), hashtext('orders'));
  return (select count(*) + 1 from app.orders where tenant_id = app.current_tenant())::text;
end $$;

grant select on app.tenants to :runtime;
grant select, insert, update, delete on app.users, app.orders, app.items, app.events, app.public_notes, app.settings to :runtime;
grant select on app.order_list to :runtime;
grant select on all tables in schema app to :backup;
reset role;
