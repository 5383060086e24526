-- A user whose password is known to others must choose a new one; whoever is disabled or marked so loses every session for good.

alter table users
  drop constraint users_status_check,
  add constraint users_status_check check (status in ('active', 'disabled', 'compromised')),
  -- Sessions and tokens of a sign-in before this moment are over. Whole seconds, as in auth_time.
  add column sessions_valid_from timestamptz;

-- Here and not in the code, so that no way of changing the status lets old sessions come back to life.
create function end_sessions() returns trigger
language plpgsql
as $$
begin
  new.sessions_valid_from := date_trunc('second', now());
  return new;
end
$$;

create trigger end_sessions before update of status on users
  for each row when (old.status is distinct from new.status) execute function end_sessions();
