-- People of a tenant and what they may do. The same address may exist in several tenants; inside one it is unique.

create table roles (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  name text not null check (name <> ''),
  permissions text[] not null default '{}',
  primary key (tenant_id, name)
);
call protect_tenant_table('roles');

create table users (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  id uuid not null default gen_random_uuid(),
  email text not null check (email = lower(email)),
  email_verified boolean not null default false,
  name text,
  password_hash text,
  status text not null default 'active' check (status in ('active', 'disabled')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, email)
);
call protect_tenant_table('users');

create table user_roles (
  tenant_id uuid not null default current_tenant_id(),
  user_id uuid not null,
  role_name text not null,
  primary key (tenant_id, user_id, role_name),
  foreign key (tenant_id, user_id) references users on delete cascade,
  foreign key (tenant_id, role_name) references roles on delete cascade
);
create index user_roles_role_name on user_roles (tenant_id, role_name);
call protect_tenant_table('user_roles');
