-- Every pitfall of row-level security once, P-01 to P-24, each in objects of its own that are right but for it.
-- :runtime, :owner, :backup and :bypass are roles of this database alone; the SQL kit is in it.
-- Run by a superuser, who goes on as the owner where a schema's owner would.
create schema shop authorization :owner;
grant usage on schema shop to :runtime, :bypass;
set role :owner;

-- P-01: the runtime role may become one that bypasses, and owns a table whose policies it can switch off.
create table shop.p01_owned (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p01_owned');
grant select on shop.p01_owned to :bypass;
reset role;
alter table shop.p01_owned owner to :runtime;
grant :bypass to :runtime;
set role :owner;

-- P-02: no row-level security; not for the owner; not on a partition that can be read by its own name.
create table shop.p02_plain (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
create table shop.p02_unforced (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p02_unforced');
alter table shop.p02_unforced no force row level security;
create table shop.p02_parted (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id)) partition by hash (tenant_id);
create table shop.p02_partition partition of shop.p02_parted for values with (modulus 1, remainder 0);
select tenant.protect('shop.p02_parted');
alter table shop.p02_partition disable row level security, no force row level security;
drop policy tenant_isolation on shop.p02_partition;
drop policy tenant_boundary on shop.p02_partition;

-- P-03: forced, and without a tenant silent: a data migration of the owner changes nothing and says nothing.
create table shop.p03_silent (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p03_silent enable row level security, force row level security;
create policy tenant_isolation on shop.p03_silent
  using (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid));

-- P-04: nobody but a superuser could make a whole backup. The role for it is there and may not read.

-- P-05: null before the first transaction of a connection, an error after it.
create table shop.p05_empty (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p05_empty enable row level security, force row level security;
create policy tenant_isolation on shop.p05_empty
  using (tenant_id = (select current_setting('app.current_tenant_id', true)::uuid))
  with check (tenant_id = (select current_setting('app.current_tenant_id', true)::uuid));

-- P-06: the tenant is gone with the statement when no transaction is open.
create function shop.p06_set_tenant(tenant uuid) returns void language sql
as $$ select set_config('app.current_tenant_id', tenant::text, true) $$;

-- P-07: the tenant stays on the connection for whoever gets it next.
create function shop.p07_use_tenant(tenant uuid) returns void language plpgsql
as $$ begin perform set_config('app.current_tenant_id', tenant::text, false); end $$;

-- P-08: a reference reaches another tenant's row.
create table shop.p08_users (tenant_id uuid not null, id uuid not null, name text, primary key (tenant_id, id), constraint p08_users_id unique (id));
create table shop.p08_orders (
  tenant_id uuid not null, id uuid not null, user_id uuid,
  primary key (tenant_id, id),
  constraint p08_orders_user foreign key (user_id) references shop.p08_users (id)
);
select tenant.protect('shop.p08_users');
select tenant.protect('shop.p08_orders');

-- P-09: a tenant that deletes its row deletes another's.
create table shop.p09_users (tenant_id uuid not null, id uuid not null, name text, primary key (tenant_id, id), constraint p09_users_id unique (id));
create table shop.p09_orders (
  tenant_id uuid not null, id uuid not null, user_id uuid,
  primary key (tenant_id, id),
  constraint p09_orders_user foreign key (user_id) references shop.p09_users (id) on delete cascade
);
select tenant.protect('shop.p09_users');
select tenant.protect('shop.p09_orders');

-- P-10: a duplicate tells of a row that cannot be seen.
create table shop.p10_accounts (
  tenant_id uuid not null, id uuid not null, email text not null, phone text,
  constraint p10_accounts_pkey primary key (id),
  constraint p10_accounts_email unique (email)
);
create unique index p10_accounts_phone on shop.p10_accounts (lower(phone)) where phone is not null;
select tenant.protect('shop.p10_accounts');

-- P-11: a policy that says what is seen and not what may be written, and one that lets everything be written.
create table shop.p11_no_check (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p11_no_check enable row level security, force row level security;
create policy tenant_isolation on shop.p11_no_check using (tenant_id = (select tenant.id()));
create table shop.p11_open_check (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p11_open_check enable row level security, force row level security;
create policy tenant_isolation on shop.p11_open_check using (tenant_id = (select tenant.id())) with check (true);

-- P-12: rights that no policy stops.
create table shop.p12_truncate (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p12_truncate');
grant truncate, references, trigger on shop.p12_truncate to :runtime;

-- P-13: views with the eyes of a superuser, and rows copied out of reach of policies.
create table shop.p13_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p13_items');
reset role;
create view shop.p13_view as select * from shop.p13_items;
create materialized view shop.p13_summary as select tenant_id, count(*) as items from shop.p13_items group by tenant_id;
grant select on shop.p13_view, shop.p13_summary to :runtime;

-- P-14: a function with the rights of a superuser, for everybody.
create function shop.p14_all_items() returns setof shop.p13_items language sql stable security definer
as $$ select * from shop.p13_items $$;
set role :owner;

-- P-15: COPY FROM is refused under row-level security, and files of the server are nobody's rows.
create table shop.p15_imports (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p15_imports');
create function shop.p15_import(file text) returns void language plpgsql
as $$ begin execute format('copy shop.p15_imports from %L', file); end $$;
reset role;
grant pg_read_server_files to :runtime;

-- P-16: trusted to see rows before the policy has refused them.
create table shop.p16_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
create function shop.p16_peek(value text) returns boolean language plpgsql immutable leakproof cost 0.0000001
as $$ begin raise notice '%', value; return true; end $$;
alter table shop.p16_items owner to :owner;
set role :owner;
select tenant.protect('shop.p16_items');

-- P-17: SQL put together from a value: who writes the value names the tenant.
create table shop.p17_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p17_items');
create function shop.p17_search(filter text) returns setof shop.p17_items language plpgsql
as $$ begin return query execute 'select * from shop.p17_items where label = ''' || filter || ''''; end $$;

-- P-18: a policy that asks who is logged in: cached plans and `set role` change the answer.
create table shop.p18_by_user (tenant_id uuid not null, id uuid not null, account name not null default current_user, primary key (tenant_id, id));
select tenant.protect('shop.p18_by_user');
create policy by_user on shop.p18_by_user as restrictive using (account = current_user) with check (account = current_user);

-- P-19: statistics hold values of all tenants.
create table shop.p19_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p19_items');
reset role;
grant select on pg_catalog.pg_statistic to :runtime;
set role :owner;

-- P-20: numbers that count all tenants' rows, rows shouted over a channel, a lock that all tenants share.
create table shop.p20_tickets (tenant_id uuid not null, id bigint generated always as identity, label text, primary key (tenant_id, id));
select tenant.protect('shop.p20_tickets');
create function shop.p20_tell() returns trigger language plpgsql
as $$ begin perform pg_notify('tickets', row_to_json(new)::text); return null; end $$;
create trigger p20_tell after insert on shop.p20_tickets for each row execute function shop.p20_tell();
create function shop.p20_lock() returns void language sql
as $$ select pg_advisory_xact_lock(42) $$;

-- P-21: everything for everybody; a second policy that widens; policies switched off; none at all; none for the runtime role.
create table shop.p21_true (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p21_true enable row level security, force row level security;
create policy everything on shop.p21_true using (true) with check (true);
create table shop.p21_widened (tenant_id uuid not null, id uuid not null, published boolean not null default true, primary key (tenant_id, id));
alter table shop.p21_widened enable row level security, force row level security;
create policy tenant_isolation on shop.p21_widened using (tenant_id = (select tenant.id())) with check (tenant_id = (select tenant.id()));
create policy published on shop.p21_widened for select using (published);
create table shop.p21_off (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
create policy tenant_isolation on shop.p21_off using (tenant_id = (select tenant.id())) with check (tenant_id = (select tenant.id()));
create table shop.p21_none (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p21_none enable row level security, force row level security;
create table shop.p21_other_role (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p21_other_role enable row level security, force row level security;
create policy tenant_isolation on shop.p21_other_role to :owner using (tenant_id = (select tenant.id())) with check (tenant_id = (select tenant.id()));

-- P-22: nobody has decided whose rows these are, or a row may be nobody's.
create table shop.p22_notes (id uuid not null, note text);
create table shop.p22_nullable (tenant_id uuid, id uuid not null, label text);
select tenant.protect('shop.p22_nullable');
alter table shop.p22_nullable alter column tenant_id drop not null;

-- P-23: a feed of all tenants' rows, and a runtime role that may read it.
create table shop.p23_events (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p23_events');
reset role;
create publication p23_feed for table shop.p23_events;
alter role :runtime replication;
set role :owner;

-- P-24: asked for every row; and no index that starts with the tenant.
create table shop.p24_per_row (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p24_per_row enable row level security, force row level security;
create policy tenant_isolation on shop.p24_per_row using (tenant_id = tenant.id()) with check (tenant_id = tenant.id());
create table shop.p24_no_index (tenant_id uuid not null, id uuid not null, label text);
alter table shop.p24_no_index enable row level security, force row level security;
create policy tenant_isolation on shop.p24_no_index using (tenant_id = (select tenant.id())) with check (tenant_id = (select tenant.id()));

reset role;
grant select, insert, update, delete on all tables in schema shop to :runtime;
revoke insert, update, delete on shop.p13_view, shop.p13_summary from :runtime;
