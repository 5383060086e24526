-- The orders of many tenants behind PostgREST: the token's scope chooses the role, its tenant_id the rows.

do $$
declare
  missing text;
begin
  foreach missing in array array['orders_anon', 'orders_reader', 'orders_writer', 'orders_authenticator'] loop
    if not exists (select from pg_roles where rolname = missing) then
      execute format('create role %I noinherit', missing);
    end if;
  end loop;
end
$$;

-- PostgREST logs in as this one, which may do nothing by itself, and becomes one of the others for each request.
grant orders_anon, orders_reader, orders_writer to orders_authenticator;

create schema if not exists orders;

create table if not exists orders.orders (
  -- Filled from the token, so a client need not (and cannot) choose it.
  tenant_id uuid not null default (current_setting('request.jwt.claims')::json ->> 'tenant_id')::uuid,
  id uuid not null default gen_random_uuid(),
  item text not null check (length(item) between 1 and 200),
  amount_cents int not null check (amount_cents >= 0),
  placed_at timestamptz not null default now(),
  primary key (tenant_id, id)
);

create index if not exists orders_by_date on orders.orders (tenant_id, placed_at desc, id);

alter table orders.orders enable row level security;
alter table orders.orders force row level security;

-- current_setting() without its second argument is deliberate: PostgREST sets the claims for every request, so
-- where there are none, something else is at work (a migration, a forgotten transaction), and it raises instead of
-- seeing nothing. The sub-select makes the tenant a constant of the query, read once instead of once per row.
drop policy if exists tenant_isolation on orders.orders;
create policy tenant_isolation on orders.orders
  using (tenant_id = (select (current_setting('request.jwt.claims')::json ->> 'tenant_id')::uuid))
  with check (tenant_id = (select (current_setting('request.jwt.claims')::json ->> 'tenant_id')::uuid));

grant usage on schema orders to orders_reader, orders_writer;
grant select on orders.orders to orders_reader;
grant select, insert, update, delete on orders.orders to orders_writer;

-- Not in a schema that PostgREST serves.
create schema if not exists private;
grant usage on schema private to orders_anon;

-- db-pre-request. An access token names no database role, so PostgREST starts every request as orders_anon, who
-- may do nothing but call this. It runs when PostgREST has verified the token.
create or replace function private.choose_role() returns void
  language plpgsql
  set search_path = ''
as $$
declare
  claims json := current_setting('request.jwt.claims')::json;
  scopes text[] := string_to_array(claims ->> 'scope', ' ');
begin
  if claims ->> 'tenant_id' is null then
    return;
  end if;
  -- With jwt-aud set, PostgREST refuses another audience, but lets a token through that names none.
  if coalesce(claims ->> 'aud', '[]') = '[]' then
    raise sqlstate 'PT401' using message = 'the token has no audience';
  end if;
  -- A token bound to a key is worth nothing without the proof, which PostgREST does not ask for (RFC 9449).
  if claims -> 'cnf' is not null then
    raise sqlstate 'PT401' using message = 'a sender-constrained token is not accepted as a bearer token';
  end if;
  if 'write' = any (scopes) then
    perform set_config('role', 'orders_writer', true);
  elsif 'read' = any (scopes) then
    perform set_config('role', 'orders_reader', true);
  else
    raise sqlstate 'PT403' using message = 'the token has neither the scope read nor write';
  end if;
end
$$;

revoke all on function private.choose_role() from public;
grant execute on function private.choose_role() to orders_anon;
