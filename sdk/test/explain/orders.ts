import { tenantId } from '../support/issuer.ts';

export const otherTenant = '0b000000-0000-4000-8000-00000000000b';

/** Tables of two tenants for `loadSql`: the tenant of the tests' tokens has 2 orders of 10,002. */
export const ordersSql = `
create schema shop authorization :owner;
create schema hidden authorization :owner;
grant usage on schema shop to :runtime;
set role :owner;
create table shop.orders (tenant_id uuid not null, id uuid not null default gen_random_uuid(), label text, primary key (tenant_id, id));
insert into shop.orders (tenant_id, label) values ('${tenantId}', 'one'), ('${tenantId}', 'two');
insert into shop.orders (tenant_id, label) select '${otherTenant}', 'other' from generate_series(1, 1000);
insert into shop.orders (tenant_id, label) select gen_random_uuid(), 'another' from generate_series(1, 9000);
select tenant.protect('shop.orders');
create table shop.small (tenant_id uuid not null, label text);
insert into shop.small values ('${tenantId}', 'one'), ('${otherTenant}', 'other');
select tenant.protect('shop.small');
create table shop.per_row (tenant_id uuid not null, label text);
alter table shop.per_row enable row level security, force row level security;
create policy tenant_isolation on shop.per_row using (tenant_id = tenant.id() and tenant.has_scope('read'));
create table shop.claimed (tenant_id uuid not null, label text);
insert into shop.claimed values ('${tenantId}', 'one');
alter table shop.claimed enable row level security, force row level security;
create policy claims on shop.claimed
  using (tenant_id = (select (current_setting('request.jwt.claims', true)::json ->> 'tenant_id')::uuid));
create table shop.own_setting (tenant_id uuid not null, label text);
insert into shop.own_setting values ('${tenantId}', 'one'), ('${otherTenant}', 'other');
alter table shop.own_setting enable row level security, force row level security;
create policy mine on shop.own_setting using (tenant_id = (select current_setting('my.tenant')::uuid));
create table shop.write_only (tenant_id uuid not null, label text);
select tenant.protect('shop.write_only');
create table shop.broken (tenant_id uuid not null, label text);
insert into shop.broken values ('${tenantId}', 'one');
alter table shop.broken enable row level security, force row level security;
create policy broken on shop.broken using (tenant_id = (select current_setting('no.such')::uuid));
create table hidden.orders (tenant_id uuid not null, label text);
select tenant.protect('hidden.orders');
grant select, insert, update, delete on all tables in schema shop to :runtime;
grant select on all tables in schema hidden to :runtime;
revoke select on shop.write_only from :runtime;
reset role;
analyze shop.orders, shop.small;
`;
