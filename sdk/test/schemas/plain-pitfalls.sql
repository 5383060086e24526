-- Every pitfall, P-01 to P-24, in tables of a small shop without the SQL kit, each policy written out.
create schema app authorization :owner;
grant usage on schema app to :runtime;
-- P-01
grant :owner to :runtime;
-- P-07, beside the function below
alter role :runtime set app.current_tenant_id = '00000000-0000-0000-0000-000000000001';
-- P-15, P-19, P-23
grant pg_write_server_files to :runtime;
grant pg_read_all_stats to :runtime;
set role :owner;

create table app.tenants (id serial primary key, name text not null);

-- P-02, P-10, P-20
create table app.users (
  id serial primary key,
  tenant_id uuid not null,
  email text not null unique
);

-- P-08, P-02: enabled only; P-05 and P-24: neither nullif nor a sub-select; P-11: no check
create table app.orders (
  id bigserial primary key,
  tenant_id uuid not null,
  user_id int references app.users (id),
  notes text
);
alter table app.orders enable row level security;
create policy tenant_isolation on app.orders using (tenant_id = current_setting('app.current_tenant_id', true)::uuid);

-- P-09, P-03, P-04: forced for an owner that no policy lets see without a tenant
create table app.items (
  tenant_id uuid not null,
  id uuid not null default gen_random_uuid(),
  order_id bigint not null references app.orders (id) on delete cascade,
  label text,
  primary key (tenant_id, id)
);
alter table app.items enable row level security;
alter table app.items force row level security;
create policy tenant_isolation on app.items
  using (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))
  with check (true);

-- P-21: a branch of the condition asks for no tenant; P-22: a tenant may be missing
create table app.public_notes (tenant_id uuid, id uuid not null default gen_random_uuid(), is_public boolean not null default false);
alter table app.public_notes enable row level security, force row level security;
create policy tenant_isolation on app.public_notes
  using (is_public or tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid));

-- P-18
create table app.settings (tenant_id uuid not null, db_user text not null default current_user, primary key (tenant_id));
alter table app.settings enable row level security, force row level security;
create policy by_user on app.settings using (db_user = current_user) with check (db_user = current_user);

-- P-13
create view app.order_list as select o.id, u.email from app.orders o join app.users u on u.id = o.user_id;
create materialized view app.order_counts as select tenant_id, count(*) from app.orders group by 1;

-- P-06, P-07
create function app.use_tenant(t uuid) returns void language sql
as $$ select set_config('app.current_tenant_id', t::text, true) $$;
create function app.stay_tenant(t uuid) returns void language plpgsql
as $$ begin execute format('set app.current_tenant_id = %L', t); end $$;

-- P-14: of one whom unforced policies do not bind
create function app.order_count() returns bigint language sql security definer as $$ select count(*) from app.orders $$;

-- P-15
create function app.import_orders() returns void language plpgsql
as $$ begin copy app.orders from '/var/tmp/orders.csv' with (format csv); end $$;

-- P-17
create function app.search(term text) returns setof app.orders language plpgsql
as $$ begin return query execute format('select * from app.orders where notes ilike ''%%%s%%''', term); end $$;

-- P-20
create function app.tell_order() returns trigger language plpgsql
as $$ begin perform pg_notify('orders', new::text); return new; end $$;
create trigger tell_order after insert on app.orders for each row execute function app.tell_order();
create function app.next_number() returns bigint language plpgsql
as $$ begin perform pg_advisory_lock(1); return nextval('app.orders_id_seq'); end $$;

-- P-12
grant all on all tables in schema app to :runtime;
reset role;

-- P-16
create function app.same(a text, b text) returns boolean language sql immutable leakproof as $$ select a = b $$;
-- P-23
create publication app_feed for all tables;
