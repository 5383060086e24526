-- Clients with their metadata spelt as in RFC 7591, their secrets (several may live at once), and the APIs they may ask tokens for.

create table clients (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  -- Never the form of a user id, so that no client can pose as a resource owner (RFC 9700 section 4.15).
  client_id text not null check (
    client_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'
    and client_id !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
  ),
  client_name text not null,
  status text not null default 'active' check (status in ('active', 'disabled')),
  -- A shared client belongs to the platform and serves users of all tenants, or of the listed ones.
  shared boolean not null default false check (not shared or tenant_id = '00000000-0000-4000-8000-000000000001'),
  allowed_tenants text[],
  redirect_uris text[] not null default '{}',
  post_logout_redirect_uris text[] not null default '{}',
  grant_types text[] not null,
  response_modes text[] not null default '{query,form_post}',
  token_endpoint_auth_method text not null,
  id_token_signed_response_alg text not null default 'RS256',
  jwks jsonb,
  jwks_uri text,
  client_uri text,
  resources jsonb not null default '[]',
  first_party boolean not null default false,
  require_pkce boolean not null default true,
  require_pushed_authorization_requests boolean not null default false,
  dpop_bound_access_tokens boolean not null default false,
  allowed_ips text[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, client_id)
);
call protect_tenant_table('clients');
call watch_config_table('clients');
create trigger sync_directory after insert or update or delete on clients
  for each row execute function sync_directory('client', 'client_id');

create table client_secrets (
  tenant_id uuid not null default current_tenant_id(),
  client_id text not null,
  id uuid not null default gen_random_uuid(),
  -- SHA-256 is enough: a secret is 256 random bits (or as strong, when an operator brings one).
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  primary key (tenant_id, client_id, id),
  unique (tenant_id, client_id, secret_hash),
  foreign key (tenant_id, client_id) references clients on delete cascade
);
call protect_tenant_table('client_secrets');
call watch_config_table('client_secrets');

create table resource_servers (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  identifier text not null,
  name text not null,
  scopes text[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, identifier)
);
call protect_tenant_table('resource_servers');
call watch_config_table('resource_servers');
