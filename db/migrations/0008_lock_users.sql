-- How often in a row a password was guessed wrong, until when the account waits, and the browsers that its owner has used before.

alter table users
  -- Every failure in a row, and those of them that came from a known device: strangers wait by the difference.
  add column failed_login_attempts int not null default 0 check (failed_login_attempts >= 0),
  add column failed_device_attempts int not null default 0 check (failed_device_attempts between 0 and failed_login_attempts),
  add column locked_until timestamptz,
  add column last_login_at timestamptz,
  add column last_login_ip text;

-- Every sign-in rewrites its user twice, no indexed column of it: room beside the old version keeps the new one out of the indexes.
alter table users set (fillfactor = 80);

create table known_devices (
  tenant_id uuid not null default current_tenant_id(),
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  failed_login_attempts int not null default 0 check (failed_login_attempts >= 0),
  locked_until timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, user_id, secret_hash),
  foreign key (tenant_id, user_id) references users on delete cascade
);
call protect_tenant_table('known_devices');
