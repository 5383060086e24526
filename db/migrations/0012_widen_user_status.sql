-- The life of a user: invited, active, disabled, compromised, erased. The rules are here, so that no way of changing a row leaves them.

alter table users
  drop constraint users_status_check,
  add constraint users_status_check check (status in ('invited', 'active', 'disabled', 'compromised', 'erased')),
  -- Others know the password: no way leads back to active, not by way of disabled either, but another password.
  add column password_compromised boolean not null default false;

-- For this transaction the owner sees every tenant's users.
alter table users no force row level security;
alter table users disable trigger remove_sessions;
update users set password_compromised = true where status = 'compromised';
-- Nobody has ever signed in as them.
update users set status = 'invited' where status = 'active' and password_hash is null;
alter table users enable trigger remove_sessions;
alter table users force row level security;

alter table users
  add constraint users_active_check check (status <> 'active' or not password_compromised),
  add constraint users_invited_check check (status <> 'invited' or password_hash is null),
  -- What is left of an erased user names nobody.
  add constraint users_erased_check check (
    case
      when status = 'erased' then email = 'erased-' || id || '@erased.invalid'
        and not email_verified and name is null and password_hash is null and not password_compromised
      -- An address that somebody else took would keep its user from being erased.
      else email not like '%@erased.invalid'
    end
  );

-- The moves of src/domain/users/life-cycle.ts; a test holds the two together.
create function follow_life_cycle() returns trigger
language plpgsql
as $$
begin
  if tg_op = 'UPDATE' and new.status <> old.status and not new.status = any (
    case old.status
      when 'invited' then array['active', 'disabled', 'compromised', 'erased']
      when 'active' then array['disabled', 'compromised', 'erased']
      when 'disabled' then array['active', 'compromised', 'erased']
      when 'compromised' then array['active', 'disabled', 'erased']
      else array[]::text[]
    end
  ) then
    raise check_violation using message = format('a user who is %s does not become %s', old.status, new.status);
  end if;
  if new.status = 'compromised' then
    new.password_compromised := true;
  end if;
  return new;
end
$$;

create trigger follow_life_cycle before insert or update of status on users
  for each row execute function follow_life_cycle();

-- Rows that a request under way wrote about a user who was erased meanwhile are found by this.
create index users_erased on users (tenant_id, updated_at) where status = 'erased';
