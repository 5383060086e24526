-- What the server must be able to read back, sealed with AES-256-GCM under a versioned master key.

create table signing_keys (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  kid text not null,
  alg text not null check (alg in ('ES256', 'RS256', 'PS256', 'EdDSA')),
  public_jwk jsonb not null,
  sealed_private_jwk bytea not null,
  -- A key is next until active_from, then active until the following key of its alg takes over, then previous until retired_at.
  published_at timestamptz not null default now(),
  active_from timestamptz,
  retired_at timestamptz,
  primary key (tenant_id, kid)
);
call protect_tenant_table('signing_keys');
call watch_config_table('signing_keys');

create table server_secrets (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  name text not null check (name in ('cookie_key', 'dpop_nonce', 'protocol_store')),
  id uuid not null default gen_random_uuid(),
  sealed_secret bytea not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, name, id)
);
call protect_tenant_table('server_secrets');
call watch_config_table('server_secrets');
