-- What a request of the provider reads together, it reads in one statement: the row that its bearer presents, and what that row leads to.

alter table protocol_store
  -- The session that a code or token ends with, by its uid.
  add column session_key bytea,
  -- Whose it is; null for what is a machine's or nobody's. No foreign key: a user who is gone has no account, and so no token.
  add column user_id uuid;

-- Sessions are rewritten at every use, codes and refresh tokens once: room for the new version beside the old one keeps it out
-- of the indexes. Rows come and go by the thousand, so vacuum and analyze look more often.
alter table protocol_store set (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05
);

-- Found by the hash alone, which is unique by itself: beside the "or" of several policies an index that begins with the tenant is
-- read for every tenant.
drop index protocol_store_uid_key;
create index protocol_store_uid_key on protocol_store (uid_key) where uid_key is not null;

-- First the row of this key, then its grant and its session, if they are there; with the first, its user as JSON with roles.
-- Runs under the tenant given, or without one under the tenant of the row that it finds, until the transaction ends.
-- With use_up it locks the row, and before it the family: all that one grant gave out waits for one another.
-- No bitmaps: they forget which versions of a row are dead, and a session leaves one behind at every use.
create function present_protocol_row(presented bytea, tenant uuid, use_up boolean)
returns table (model text, tenant_id uuid, key bytea, uid_key bytea, sealed_payload bytea, consumed_at timestamptz, account jsonb)
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
    perform pg_advisory_xact_lock(hashtextextended('tessera grant ' || encode(s.grant_key, 'hex'), 0))
    from protocol_store s where s.key = presented and s.grant_key is not null;
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
    select shown.model, shown.tenant_id, shown.key, shown.uid_key, shown.sealed_payload, shown.consumed_at, (
      select to_jsonb(u) - 'password_hash' || jsonb_build_object('roles', array(
        select r.role_name from user_roles r where r.user_id = u.id order by r.role_name
      ))
      from users u where u.id = shown.user_id
    )
    union all
    select s.model, s.tenant_id, s.key, s.uid_key, s.sealed_payload, s.consumed_at, null
    from protocol_store s
    where s.key = shown.grant_key and s.expires_at > now()
    union all
    select s.model, s.tenant_id, s.key, s.uid_key, s.sealed_payload, s.consumed_at, null
    from protocol_store s
    where s.uid_key = shown.session_key and s.expires_at > now();
end
$$;
