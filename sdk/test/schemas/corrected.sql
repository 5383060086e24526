-- The twin of pitfalls.sql: the same objects, and every pitfall mended.
-- :runtime, :owner, :backup and :bypass are roles of this database alone; the SQL kit is in it.
-- Run by a superuser, who goes on as the owner where a schema's owner would.
create schema shop authorization :owner;
grant usage on schema shop to :runtime, :backup;
set role :owner;

-- P-01
create table shop.p01_owned (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p01_owned');

-- P-02
create table shop.p02_plain (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p02_plain');
create table shop.p02_unforced (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p02_unforced');
create table shop.p02_parted (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id)) partition by hash (tenant_id);
create table shop.p02_partition partition of shop.p02_parted for values with (modulus 1, remainder 0);
select tenant.protect('shop.p02_parted');

-- P-03
create table shop.p03_silent (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p03_silent');

-- P-04: at the end, when all tables are there.

-- P-05: written out, without the kit.
create table shop.p05_empty (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
alter table shop.p05_empty enable row level security, force row level security;
create policy tenant_isolation on shop.p05_empty
  using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
  with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));

-- P-06, P-07: withTenant sets the tenant, and SQL only asks which it is.
create function shop.p06_set_tenant(tenant uuid) returns boolean language sql
as $$ select tenant = tenant.id() $$;
create function shop.p07_use_tenant(tenant uuid) returns boolean language plpgsql
as $$ begin return tenant = tenant.id(); end $$;

-- P-08
create table shop.p08_users (tenant_id uuid not null, id uuid not null, name text, primary key (tenant_id, id));
create table shop.p08_orders (
  tenant_id uuid not null, id uuid not null, user_id uuid,
  primary key (tenant_id, id),
  constraint p08_orders_user foreign key (tenant_id, user_id) references shop.p08_users (tenant_id, id)
);
select tenant.protect('shop.p08_users');
select tenant.protect('shop.p08_orders');

-- P-09
create table shop.p09_users (tenant_id uuid not null, id uuid not null, name text, primary key (tenant_id, id));
create table shop.p09_orders (
  tenant_id uuid not null, id uuid not null, user_id uuid,
  primary key (tenant_id, id),
  constraint p09_orders_user foreign key (tenant_id, user_id) references shop.p09_users (tenant_id, id) on delete cascade
);
select tenant.protect('shop.p09_users');
select tenant.protect('shop.p09_orders');

-- P-10
create table shop.p10_accounts (
  tenant_id uuid not null, id uuid not null, email text not null, phone text,
  constraint p10_accounts_pkey primary key (tenant_id, id),
  constraint p10_accounts_email unique (tenant_id, email)
);
create unique index p10_accounts_phone on shop.p10_accounts (tenant_id, lower(phone)) where phone is not null;
select tenant.protect('shop.p10_accounts');

-- P-11
create table shop.p11_no_check (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p11_no_check');
create table shop.p11_open_check (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p11_open_check');

-- P-12
create table shop.p12_truncate (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p12_truncate');

-- P-13: the sums are made when they are asked for.
create table shop.p13_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p13_items');
create view shop.p13_view with (security_invoker = true) as select * from shop.p13_items;
create view shop.p13_summary with (security_invoker = true) as select tenant_id, count(*) as items from shop.p13_items group by tenant_id;
grant select on shop.p13_view, shop.p13_summary to :runtime;

-- P-14
create function shop.p14_all_items() returns setof shop.p13_items language sql stable
as $$ select * from shop.p13_items $$;

-- P-15
create table shop.p15_imports (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p15_imports');
create function shop.p15_import(file text) returns void language plpgsql
as $$ begin insert into shop.p15_imports (id, label) select gen_random_uuid(), line from regexp_split_to_table(file, '\n') as line; end $$;

-- P-16
create table shop.p16_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p16_items');
create function shop.p16_peek(value text) returns boolean language plpgsql immutable
as $$ begin raise notice '%', value; return true; end $$;

-- P-17
create table shop.p17_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p17_items');
create function shop.p17_search(filter text) returns setof shop.p17_items language plpgsql
as $$ begin return query execute 'select * from shop.p17_items where label = $1' using filter; end $$;

-- P-18
create table shop.p18_by_user (tenant_id uuid not null, id uuid not null, account uuid, primary key (tenant_id, id));
select tenant.protect('shop.p18_by_user');

-- P-19
create table shop.p19_items (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p19_items');

-- P-20
create table shop.p20_tickets (tenant_id uuid not null, id uuid not null default gen_random_uuid(), label text, primary key (tenant_id, id));
select tenant.protect('shop.p20_tickets');
create function shop.p20_tell() returns trigger language plpgsql
as $$ begin perform pg_notify('tickets', new.id::text); return null; end $$;
create trigger p20_tell after insert on shop.p20_tickets for each row execute function shop.p20_tell();
create function shop.p20_lock() returns void language sql
as $$ select pg_advisory_xact_lock(hashtextextended(tenant.id()::text || 'tickets', 0)) $$;

-- P-21: what is published is still a tenant's own.
create table shop.p21_true (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p21_true');
create table shop.p21_widened (tenant_id uuid not null, id uuid not null, published boolean not null default true, primary key (tenant_id, id));
select tenant.protect('shop.p21_widened');
create policy published on shop.p21_widened as restrictive for delete using (not published);
create table shop.p21_off (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p21_off');
create table shop.p21_none (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p21_none');
create table shop.p21_other_role (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p21_other_role');

-- P-22
create table shop.p22_notes (tenant_id uuid not null, id uuid not null, note text, primary key (tenant_id, id));
select tenant.protect('shop.p22_notes');
create table shop.p22_nullable (tenant_id uuid, id uuid not null, label text);
select tenant.protect('shop.p22_nullable');

-- P-23
create table shop.p23_events (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p23_events');
reset role;
create publication p23_feed;
set role :owner;

-- P-24
create table shop.p24_per_row (tenant_id uuid not null, id uuid not null, label text, primary key (tenant_id, id));
select tenant.protect('shop.p24_per_row');
create table shop.p24_no_index (tenant_id uuid not null, id uuid not null, label text);
select tenant.protect('shop.p24_no_index');

grant select, insert, update, delete on all tables in schema shop to :runtime;
revoke insert, update, delete on shop.p13_view, shop.p13_summary from :runtime;
-- P-04: this role reads every row, and no application logs in as it.
grant select on all tables in schema shop to :backup;
reset role;
