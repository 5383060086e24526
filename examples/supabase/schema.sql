-- Orders of many tenants on Supabase, for access tokens of an issuer that is not Supabase Auth.

create table if not exists public.orders (
  -- Both filled from the token, so a client need not name them.
  tenant_id uuid not null default (auth.jwt() ->> 'tenant_id')::uuid,
  placed_by uuid not null default auth.uid(),
  id uuid not null default gen_random_uuid(),
  item text not null check (length(item) between 1 and 200),
  amount_cents int not null check (amount_cents >= 0),
  placed_at timestamptz not null default now(),
  -- The tenant leads every key. A unique key without it would tell one tenant which values another one holds.
  primary key (tenant_id, id)
);

create index if not exists orders_by_date on public.orders (tenant_id, placed_at desc, id);

alter table public.orders enable row level security;
alter table public.orders force row level security;

-- Restrictive: it holds beside every permissive policy, those that somebody adds later included. The sub-select
-- makes the tenant a constant of the query, read once instead of once per row.
drop policy if exists tenant_isolation on public.orders;
create policy tenant_isolation on public.orders
  as restrictive
  using (tenant_id = (select (auth.jwt() ->> 'tenant_id')::uuid))
  with check (tenant_id = (select (auth.jwt() ->> 'tenant_id')::uuid));

-- Within the tenant: everybody reads, and whoever placed an order may change it.
drop policy if exists members_read on public.orders;
create policy members_read on public.orders for select to authenticated using (true);

drop policy if exists members_place on public.orders;
create policy members_place on public.orders for insert to authenticated
  with check (placed_by = (select auth.uid()));

drop policy if exists owners_change on public.orders;
create policy owners_change on public.orders for update to authenticated
  using (placed_by = (select auth.uid()))
  with check (placed_by = (select auth.uid()));

drop policy if exists owners_delete on public.orders;
create policy owners_delete on public.orders for delete to authenticated
  using (placed_by = (select auth.uid()));

-- Supabase grants everything in public to everybody, TRUNCATE included, which no policy stops.
revoke all on public.orders from anon, authenticated;
grant select, insert, update, delete on public.orders to authenticated;

-- db-pre-request of the Data API. Tokens of another issuer name no database role, so their requests start as anon.
-- Supabase has verified signature, expiry and issuer, but no audience: that is done here.
create schema if not exists private;
grant usage on schema private to anon, authenticated;

create or replace function private.choose_role() returns void
  language plpgsql
  set search_path = ''
as $$
declare
  claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
begin
  if claims ->> 'tenant_id' is null then
    return;
  end if;
  if claims ->> 'aud' is distinct from 'https://api.example.test' then
    raise sqlstate 'PT401' using message = 'the token is for another audience';
  end if;
  -- A token bound to a key is worth nothing without the proof, which nobody asks for here (RFC 9449).
  if claims ? 'cnf' then
    raise sqlstate 'PT401' using message = 'a sender-constrained token is not accepted as a bearer token';
  end if;
  perform set_config('role', 'authenticated', true);
end
$$;

revoke all on function private.choose_role() from public;
grant execute on function private.choose_role() to anon, authenticated;
