-- What every Supabase project brings along, as far as the policies need it, so that the example runs on a plain
-- PostgreSQL. Never run it on Supabase.

do $$
declare
  missing text;
begin
  foreach missing in array array['anon', 'authenticated', 'authenticator'] loop
    if not exists (select from pg_roles where rolname = missing) then
      execute format('create role %I noinherit', missing);
    end if;
  end loop;
end
$$;

grant anon, authenticated to authenticator;

create schema if not exists auth;
grant usage on schema auth to anon, authenticated;
grant usage on schema public to anon, authenticated;

-- All claims of the token; null without one.
create or replace function auth.jwt() returns jsonb
  language sql
  stable
as $$
  select nullif(current_setting('request.jwt.claims', true), '')::jsonb
$$;

-- The user; raises for a subject that is no uuid.
create or replace function auth.uid() returns uuid
  language sql
  stable
as $$
  select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
