-- Orders of many tenants in one table. The database, not the code, keeps them apart.

create schema if not exists orders;

create table if not exists orders.orders (
  -- Filled from the transaction's tenant, so no insert has to mention it; without a tenant this raises.
  tenant_id uuid not null default current_setting('app.current_tenant_id')::uuid,
  id uuid not null default gen_random_uuid(),
  item text not null check (length(item) between 1 and 200),
  amount_cents int not null check (amount_cents >= 0),
  placed_at timestamptz not null default now(),
  -- The tenant leads every key. A unique key without it would tell one tenant, by its conflict, which
  -- values another one holds; and foreign keys are checked without policies, so they must carry it too.
  primary key (tenant_id, id)
);

create index if not exists orders_by_date on orders.orders (tenant_id, placed_at desc, id);

-- ENABLE binds everyone but the owner of the table; FORCE binds the owner as well.
alter table orders.orders enable row level security;
alter table orders.orders force row level security;

-- USING decides which rows can be read, changed or deleted; WITH CHECK what a row may look like afterwards,
-- so a row can neither be created for, nor moved to, another tenant.
--
-- current_setting() without its second argument is deliberate: where no tenant was ever set, it raises
-- (42704), and after a transaction that had one, the setting is left as '', which is no uuid and raises too
-- (22P02). A forgotten tenant is an error that somebody sees, not an empty list or everybody's rows. (Only a
-- table scanned while it has no row at all stays silent: there is nothing to compare a tenant with.)
--
-- The sub-select makes it a constant of the query, read once instead of once per row, so that the primary
-- key can be used.
drop policy if exists tenant_isolation on orders.orders;
create policy tenant_isolation on orders.orders
  using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
  with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
