-- Sessions, grants, codes, tokens, interactions and replay marks of the OpenID provider.
-- key is an HMAC of model and identifier and the payload is sealed: a dump holds no bearer value.

-- Under a tenant: the tenant. Without one: null when a key is presented, else an error.
create function protocol_tenant_id() returns uuid
language plpgsql stable parallel safe
as $$
begin
  if coalesce(current_setting('app.current_tenant_id', true), '') = '' and presented_key() is not null then
    return null;
  end if;
  return current_tenant_id();
end
$$;

create table protocol_store (
  tenant_id uuid not null default current_tenant_id() references tenants on delete cascade,
  key bytea not null,
  model text not null,
  grant_key bytea,
  uid_key bytea,
  sealed_payload bytea not null,
  consumed_at timestamptz,
  expires_at timestamptz not null,
  primary key (tenant_id, key)
);
-- A code or token is found by what its bearer presents, before the tenant is known (a shared client serves many).
create index protocol_store_key on protocol_store (key);
create index protocol_store_grant_key on protocol_store (tenant_id, grant_key) where grant_key is not null;
create index protocol_store_uid_key on protocol_store (tenant_id, uid_key) where uid_key is not null;
create index protocol_store_expires_at on protocol_store (tenant_id, expires_at);
alter table protocol_store enable row level security;
alter table protocol_store force row level security;
create policy tenant_isolation on protocol_store
  using (tenant_id = (select protocol_tenant_id()))
  with check (tenant_id = (select current_tenant_id()));
create policy by_presented_key on protocol_store for select
  using (key = (select presented_key()));
