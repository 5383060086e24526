-- Sessions of browsers get a table of their own, so that a person can see them, a tenant can limit them, and each can be ended with all that was given out under it.

create table sessions (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  -- HMACs: of what the session is called by its tokens, which stays, and of the cookie's value, which is renewed.
  uid_key bytea not null,
  key bytea not null,
  -- What lists call it. It opens nothing.
  id uuid not null default gen_random_uuid(),
  -- Null until somebody signs in, and when that user is gone.
  user_id uuid,
  sealed_payload bytea not null,
  created_at timestamptz not null default now(),
  authenticated_at timestamptz,
  last_activity_at timestamptz not null default now(),
  -- The end as things stand, which use moves, and the one that nothing moves.
  expires_at timestamptz not null,
  ends_at timestamptz not null,
  ip text,
  user_agent text check (length(user_agent) <= 500),
  device_label text check (length(device_label) between 1 and 100),
  amr text[],
  acr text,
  primary key (tenant_id, uid_key),
  unique (tenant_id, key),
  foreign key (tenant_id, user_id) references users on delete cascade
);
create index sessions_user_id on sessions (tenant_id, user_id);
create index sessions_ends_at on sessions (tenant_id, ends_at);
-- A session is rewritten at every use, in columns without an index: room for the new version keeps it out of the indexes.
alter table sessions set (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05
);
call protect_tenant_table('sessions');

-- Sessions sealed for the old place cannot be read in the new one: whoever is signed in signs in once more.
alter table protocol_store no force row level security;
delete from protocol_store where model = 'Session';
alter table protocol_store force row level security;
drop index protocol_store_uid_key;
alter table protocol_store drop column uid_key;

-- All that was given out under the sessions of a user, for the moment when they end. Not by tenant first, as 0007 says.
create index protocol_store_user_session on protocol_store (user_id, session_key) where session_key is not null;

-- Held shared by who is about to give something out under a session of the user, and alone by who ends some of them: what is
-- given out meanwhile is either seen and ended, or not given out.
create function sessions_lock(owner uuid) returns bigint
language sql immutable parallel safe
as $$ select hashtextextended('tessera sessions of ' || owner::text, 0) $$;

-- Ends sessions of a user: one, all, or all but one; with each the codes, tokens and grants under it. Unless it is about one
-- session, also what outlived a session that was signed out of. Gives how many sessions ended.
create function end_sessions_of(tenant uuid, owner uuid, only_id uuid, kept_id uuid) returns integer
language plpgsql
as $$
declare
  ended bytea[];
  kept bytea;
begin
  perform pg_advisory_xact_lock(sessions_lock(owner));
  select s.uid_key into kept from sessions s where s.tenant_id = tenant and s.user_id = owner and s.id = kept_id;
  with gone as (
    delete from sessions s
    where s.tenant_id = tenant and s.user_id = owner and (only_id is null or s.id = only_id) and s.id is distinct from kept_id
    returning s.uid_key
  )
  select coalesce(array_agg(uid_key), '{}') into ended from gone;
  -- A statement of its own: it sees what those gave out whose locks on a session the one above has waited for.
  with given_out as (
    delete from protocol_store s
    where s.tenant_id = tenant and s.user_id = owner and s.session_key is not null
      and case when only_id is null then s.session_key is distinct from kept else s.session_key = any (ended) end
    returning s.grant_key
  )
  delete from protocol_store s
  where s.tenant_id = tenant and s.key = any (array(select grant_key from given_out where grant_key is not null));
  return cardinality(ended);
end
$$;

-- Whose row it is, as JSON with roles.
create function present_user(wanted uuid) returns jsonb
language plpgsql stable
as $$
begin
  return (
    select to_jsonb(u) - 'password_hash' || jsonb_build_object('roles', array(
      select r.role_name from user_roles r where r.user_id = u.id order by r.role_name
    ))
    from users u where u.id = wanted
  );
end
$$;

-- The session of this cookie with its user. No bitmaps: they forget which versions of a row are dead, and a session leaves one
-- behind at every use.
create function present_session(presented bytea, use_up boolean)
returns table (tenant_id uuid, key bytea, uid_key bytea, sealed_payload bytea, last_activity_at timestamptz, account jsonb)
language plpgsql
set enable_bitmapscan = off
as $$
declare
  shown sessions;
begin
  if use_up then
    select * into shown from sessions s
    where s.key = presented and s.expires_at > now() and s.ends_at > now() for update;
  else
    select * into shown from sessions s
    where s.key = presented and s.expires_at > now() and s.ends_at > now();
  end if;
  if shown.key is not null then
    return query select shown.tenant_id, shown.key, shown.uid_key, shown.sealed_payload, shown.last_activity_at,
      present_user(shown.user_id);
  end if;
end
$$;

-- As in 0007, but that a session comes from its own table with the time of its last use, and that use_up waits for who is
-- ending sessions of the user before it waits for the family.
drop function present_protocol_row(bytea, uuid, boolean);
create function present_protocol_row(presented bytea, tenant uuid, use_up boolean)
returns table (
  model text, tenant_id uuid, key bytea, uid_key bytea, sealed_payload bytea, consumed_at timestamptz,
  last_activity_at timestamptz, account jsonb
)
language plpgsql
set enable_bitmapscan = off
as $$
declare
  shown protocol_store;
begin
  if tenant is null then
    perform set_config('app.presented_key', encode(presented, 'hex'), true);
    select s.tenant_id into tenant from protocol_store s where s.key = presented;
    if tenant is null then
      return;
    end if;
  end if;
  perform set_config('app.current_tenant_id', tenant::text, true);
  if use_up then
    select * into shown from protocol_store s where s.key = presented;
    if shown.session_key is not null and shown.user_id is not null then
      perform pg_advisory_xact_lock_shared(sessions_lock(shown.user_id));
    end if;
    if shown.grant_key is not null then
      perform pg_advisory_xact_lock(hashtextextended('tessera grant ' || encode(shown.grant_key, 'hex'), 0));
    end if;
    select * into shown from protocol_store s
    where s.key = presented and s.expires_at > now() for update;
  else
    select * into shown from protocol_store s
    where s.key = presented and s.expires_at > now();
  end if;
  if shown.key is null then
    return;
  end if;
  return query
    select shown.model, shown.tenant_id, shown.key, null::bytea, shown.sealed_payload, shown.consumed_at,
      null::timestamptz, present_user(shown.user_id)
    union all
    select s.model, s.tenant_id, s.key, null, s.sealed_payload, s.consumed_at, null, null
    from protocol_store s
    where s.key = shown.grant_key and s.expires_at > now()
    union all
    select 'Session', s.tenant_id, s.key, s.uid_key, s.sealed_payload, null, s.last_activity_at, null
    from sessions s
    where s.uid_key = shown.session_key and s.expires_at > now() and s.ends_at > now();
end
$$;

-- Beside the mark of 0006, which no token escapes: whoever is disabled or compromised has no sessions to be listed.
create function remove_sessions() returns trigger
language plpgsql
as $$
begin
  perform end_sessions_of(new.tenant_id, new.id, null, null);
  return null;
end
$$;

create trigger remove_sessions after update of status on users
  for each row when (old.status is distinct from new.status) execute function remove_sessions();
