-- The schema as the migrations leave it, to be read first. Generated: "npm run schema" writes it, and a test fails when it is stale.
-- The runtime role is shown as tessera. The schema pgboss is the job queue's own, and stands in migration 0011 as its library gives it.

GRANT USAGE ON SCHEMA public TO PUBLIC;
GRANT USAGE ON SCHEMA public TO tessera;

CREATE TABLE client_secrets (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  client_id text NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  secret_hash bytea NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  expires_at timestamp with time zone,
  CONSTRAINT client_secrets_pkey PRIMARY KEY (tenant_id, client_id, id),
  CONSTRAINT client_secrets_tenant_id_client_id_secret_hash_key UNIQUE (tenant_id, client_id, secret_hash),
  CONSTRAINT client_secrets_tenant_id_client_id_fkey FOREIGN KEY (tenant_id, client_id) REFERENCES clients(tenant_id, client_id) ON DELETE CASCADE,
  CONSTRAINT client_secrets_secret_hash_check CHECK (octet_length(secret_hash) = 32)
);
ALTER TABLE client_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON client_secrets FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON client_secrets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
GRANT DELETE, INSERT, SELECT, UPDATE ON client_secrets TO tessera;

CREATE TABLE clients (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  client_id text NOT NULL,
  client_name text NOT NULL,
  status text DEFAULT 'active'::text NOT NULL,
  shared boolean DEFAULT false NOT NULL,
  allowed_tenants text[],
  redirect_uris text[] DEFAULT '{}'::text[] NOT NULL,
  post_logout_redirect_uris text[] DEFAULT '{}'::text[] NOT NULL,
  grant_types text[] NOT NULL,
  response_modes text[] DEFAULT '{query,form_post}'::text[] NOT NULL,
  token_endpoint_auth_method text NOT NULL,
  id_token_signed_response_alg text DEFAULT 'RS256'::text NOT NULL,
  jwks jsonb,
  jwks_uri text,
  client_uri text,
  resources jsonb DEFAULT '[]'::jsonb NOT NULL,
  first_party boolean DEFAULT false NOT NULL,
  require_pkce boolean DEFAULT true NOT NULL,
  require_pushed_authorization_requests boolean DEFAULT false NOT NULL,
  dpop_bound_access_tokens boolean DEFAULT false NOT NULL,
  allowed_ips text[] DEFAULT '{}'::text[] NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT clients_pkey PRIMARY KEY (tenant_id, client_id),
  CONSTRAINT clients_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT clients_check CHECK (NOT shared OR tenant_id = '00000000-0000-4000-8000-000000000001'::uuid),
  CONSTRAINT clients_client_id_check CHECK (client_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'::text AND client_id !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'::text),
  CONSTRAINT clients_status_check CHECK (status = ANY (ARRAY['active'::text, 'disabled'::text]))
);
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON clients FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON clients DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
CREATE TRIGGER sync_directory AFTER INSERT OR DELETE OR UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION sync_directory('client', 'client_id');
GRANT DELETE, INSERT, SELECT, UPDATE ON clients TO tessera;

CREATE TABLE config_changes (
  tenant_id uuid NOT NULL,
  changed_in xid8 NOT NULL,
  CONSTRAINT config_changes_pkey PRIMARY KEY (tenant_id)
);
CREATE INDEX config_changes_changed_in ON config_changes USING btree (changed_in);
ALTER TABLE config_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE config_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY read_all ON config_changes FOR SELECT USING (true);
CREATE POLICY tenant_isolation ON config_changes FOR ALL USING (tenant_id = (( SELECT NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text)::uuid AS "nullif"))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON config_changes TO tessera;

CREATE TABLE directory (
  kind text NOT NULL,
  key_hash bytea NOT NULL,
  tenant_id uuid NOT NULL,
  CONSTRAINT directory_pkey PRIMARY KEY (kind, key_hash),
  CONSTRAINT directory_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT directory_kind_check CHECK (kind = ANY (ARRAY['slug'::text, 'domain'::text, 'client'::text]))
);
CREATE INDEX directory_tenant_id ON directory USING btree (tenant_id);
ALTER TABLE directory ENABLE ROW LEVEL SECURITY;
ALTER TABLE directory FORCE ROW LEVEL SECURITY;
CREATE POLICY by_presented_key ON directory FOR SELECT USING (key_hash = (( SELECT presented_key() AS presented_key)));
CREATE POLICY tenant_isolation ON directory FOR ALL USING (tenant_id = (( SELECT NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text)::uuid AS "nullif"))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON directory TO tessera;

CREATE TABLE known_devices (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  user_id uuid NOT NULL,
  secret_hash bytea NOT NULL,
  created_at timestamp with time zone NOT NULL,
  last_seen_at timestamp with time zone NOT NULL,
  failed_login_attempts integer DEFAULT 0 NOT NULL,
  locked_until timestamp with time zone,
  CONSTRAINT known_devices_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT known_devices_tenant_id_user_id_secret_hash_key UNIQUE (tenant_id, user_id, secret_hash),
  CONSTRAINT known_devices_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT known_devices_failed_login_attempts_check CHECK (failed_login_attempts >= 0),
  CONSTRAINT known_devices_secret_hash_check CHECK (octet_length(secret_hash) = 32)
);
ALTER TABLE known_devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE known_devices FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON known_devices FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON known_devices TO tessera;

CREATE TABLE mails (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  user_id uuid,
  kind text NOT NULL,
  sealed_message bytea NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  last_error text,
  CONSTRAINT mails_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT mails_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT mails_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX mails_user_id ON mails USING btree (tenant_id, user_id);
ALTER TABLE mails ENABLE ROW LEVEL SECURITY;
ALTER TABLE mails FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON mails FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON mails TO tessera;

CREATE TABLE protocol_store (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  key bytea NOT NULL,
  model text NOT NULL,
  grant_key bytea,
  sealed_payload bytea NOT NULL,
  consumed_at timestamp with time zone,
  expires_at timestamp with time zone NOT NULL,
  session_key bytea,
  user_id uuid,
  CONSTRAINT protocol_store_pkey PRIMARY KEY (tenant_id, key),
  CONSTRAINT protocol_store_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX protocol_store_expires_at ON protocol_store USING btree (tenant_id, expires_at);
CREATE INDEX protocol_store_grant_key ON protocol_store USING btree (tenant_id, grant_key) WHERE grant_key IS NOT NULL;
CREATE INDEX protocol_store_key ON protocol_store USING btree (key);
CREATE INDEX protocol_store_user_session ON protocol_store USING btree (user_id, session_key) WHERE session_key IS NOT NULL;
ALTER TABLE protocol_store ENABLE ROW LEVEL SECURITY;
ALTER TABLE protocol_store FORCE ROW LEVEL SECURITY;
CREATE POLICY by_presented_key ON protocol_store FOR SELECT USING (key = (( SELECT presented_key() AS presented_key)));
CREATE POLICY tenant_isolation ON protocol_store FOR ALL USING (tenant_id = (( SELECT protocol_tenant_id() AS protocol_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON protocol_store TO tessera;

CREATE TABLE rate_limits (
  key text NOT NULL,
  points integer DEFAULT 0 NOT NULL,
  expire bigint NOT NULL,
  CONSTRAINT rate_limits_pkey PRIMARY KEY (key)
);
CREATE INDEX rate_limits_expire ON rate_limits USING btree (expire);
GRANT DELETE, INSERT, SELECT, UPDATE ON rate_limits TO tessera;

CREATE TABLE resource_servers (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  identifier text NOT NULL,
  name text NOT NULL,
  scopes text[] DEFAULT '{}'::text[] NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT resource_servers_pkey PRIMARY KEY (tenant_id, identifier),
  CONSTRAINT resource_servers_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE
);
ALTER TABLE resource_servers ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_servers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON resource_servers FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON resource_servers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
GRANT DELETE, INSERT, SELECT, UPDATE ON resource_servers TO tessera;

CREATE TABLE roles (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  name text NOT NULL,
  permissions text[] DEFAULT '{}'::text[] NOT NULL,
  CONSTRAINT roles_pkey PRIMARY KEY (tenant_id, name),
  CONSTRAINT roles_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT roles_name_check CHECK (name <> ''::text)
);
ALTER TABLE roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON roles FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON roles TO tessera;

CREATE TABLE schema_migrations (
  name text NOT NULL,
  checksum bytea NOT NULL,
  applied_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT schema_migrations_pkey PRIMARY KEY (name)
);
GRANT SELECT ON schema_migrations TO tessera;

CREATE TABLE server_secrets (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  name text NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  sealed_secret bytea NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT server_secrets_pkey PRIMARY KEY (tenant_id, name, id),
  CONSTRAINT server_secrets_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT server_secrets_name_check CHECK (name = ANY (ARRAY['cookie_key'::text, 'dpop_nonce'::text, 'protocol_store'::text]))
);
ALTER TABLE server_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE server_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON server_secrets FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON server_secrets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
GRANT DELETE, INSERT, SELECT, UPDATE ON server_secrets TO tessera;

CREATE TABLE sessions (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  uid_key bytea NOT NULL,
  key bytea NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  user_id uuid,
  sealed_payload bytea NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  authenticated_at timestamp with time zone,
  last_activity_at timestamp with time zone DEFAULT now() NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  ends_at timestamp with time zone NOT NULL,
  ip text,
  user_agent text,
  device_label text,
  amr text[],
  acr text,
  CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, uid_key),
  CONSTRAINT sessions_tenant_id_key_key UNIQUE (tenant_id, key),
  CONSTRAINT sessions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT sessions_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT sessions_device_label_check CHECK (length(device_label) >= 1 AND length(device_label) <= 100),
  CONSTRAINT sessions_user_agent_check CHECK (length(user_agent) <= 500)
);
CREATE INDEX sessions_ends_at ON sessions USING btree (tenant_id, ends_at);
CREATE INDEX sessions_user_id ON sessions USING btree (tenant_id, user_id);
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON sessions FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON sessions TO tessera;

CREATE TABLE signing_keys (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  kid text NOT NULL,
  alg text NOT NULL,
  public_jwk jsonb NOT NULL,
  sealed_private_jwk bytea NOT NULL,
  published_at timestamp with time zone DEFAULT now() NOT NULL,
  active_from timestamp with time zone,
  retired_at timestamp with time zone,
  CONSTRAINT signing_keys_pkey PRIMARY KEY (tenant_id, kid),
  CONSTRAINT signing_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT signing_keys_alg_check CHECK (alg = ANY (ARRAY['ES256'::text, 'RS256'::text, 'PS256'::text, 'EdDSA'::text]))
);
ALTER TABLE signing_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE signing_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON signing_keys FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON signing_keys DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
GRANT DELETE, INSERT, SELECT, UPDATE ON signing_keys TO tessera;

CREATE TABLE tenant_domains (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  domain text NOT NULL,
  verified_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT tenant_domains_pkey PRIMARY KEY (tenant_id, domain),
  CONSTRAINT tenant_domains_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT tenant_domains_domain_check CHECK (domain = lower(domain) AND domain <> ''::text)
);
ALTER TABLE tenant_domains ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_domains FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tenant_domains FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON tenant_domains DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
CREATE TRIGGER sync_directory AFTER INSERT OR DELETE OR UPDATE ON tenant_domains FOR EACH ROW EXECUTE FUNCTION sync_directory('domain', 'domain');
GRANT DELETE, INSERT, SELECT, UPDATE ON tenant_domains TO tessera;

CREATE TABLE tenants (
  tenant_id uuid NOT NULL,
  slug text NOT NULL,
  name text NOT NULL,
  status text DEFAULT 'active'::text NOT NULL,
  settings jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT tenants_name_check CHECK (name <> ''::text),
  CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text),
  CONSTRAINT tenants_status_check CHECK (status = ANY (ARRAY['active'::text, 'disabled'::text]))
);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tenants FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE CONSTRAINT TRIGGER note_config_change AFTER INSERT OR DELETE OR UPDATE ON tenants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_config_change();
CREATE TRIGGER sync_directory AFTER INSERT OR DELETE OR UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION sync_directory('slug', 'slug');
GRANT DELETE, INSERT, SELECT, UPDATE ON tenants TO tessera;

CREATE TABLE user_roles (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  user_id uuid NOT NULL,
  role_name text NOT NULL,
  CONSTRAINT user_roles_pkey PRIMARY KEY (tenant_id, user_id, role_name),
  CONSTRAINT user_roles_tenant_id_role_name_fkey FOREIGN KEY (tenant_id, role_name) REFERENCES roles(tenant_id, name) ON DELETE CASCADE,
  CONSTRAINT user_roles_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_roles_role_name ON user_roles USING btree (tenant_id, role_name);
ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_roles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON user_roles FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
GRANT DELETE, INSERT, SELECT, UPDATE ON user_roles TO tessera;

CREATE TABLE users (
  tenant_id uuid DEFAULT current_tenant_id() NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  email text NOT NULL,
  email_verified boolean DEFAULT false NOT NULL,
  name text,
  password_hash text,
  status text DEFAULT 'active'::text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  sessions_valid_from timestamp with time zone,
  failed_login_attempts integer DEFAULT 0 NOT NULL,
  failed_device_attempts integer DEFAULT 0 NOT NULL,
  locked_until timestamp with time zone,
  last_login_at timestamp with time zone,
  last_login_ip text,
  password_compromised boolean DEFAULT false NOT NULL,
  CONSTRAINT users_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT users_tenant_id_email_key UNIQUE (tenant_id, email),
  CONSTRAINT users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE,
  CONSTRAINT users_active_check CHECK (status <> 'active'::text OR NOT password_compromised),
  CONSTRAINT users_check CHECK (failed_device_attempts >= 0 AND failed_device_attempts <= failed_login_attempts),
  CONSTRAINT users_email_check CHECK (email = lower(email)),
  CONSTRAINT users_erased_check CHECK (
CASE
    WHEN status = 'erased'::text THEN email = (('erased-'::text || id) || '@erased.invalid'::text) AND NOT email_verified AND name IS NULL AND password_hash IS NULL AND NOT password_compromised
    ELSE email !~~ '%@erased.invalid'::text
END),
  CONSTRAINT users_failed_login_attempts_check CHECK (failed_login_attempts >= 0),
  CONSTRAINT users_invited_check CHECK (status <> 'invited'::text OR password_hash IS NULL),
  CONSTRAINT users_status_check CHECK (status = ANY (ARRAY['invited'::text, 'active'::text, 'disabled'::text, 'compromised'::text, 'erased'::text]))
);
CREATE INDEX users_erased ON users USING btree (tenant_id, updated_at) WHERE status = 'erased'::text;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON users FOR ALL USING (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id))) WITH CHECK (tenant_id = (( SELECT current_tenant_id() AS current_tenant_id)));
CREATE TRIGGER end_sessions BEFORE UPDATE OF status ON users FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION end_sessions();
CREATE TRIGGER follow_life_cycle BEFORE INSERT OR UPDATE OF status ON users FOR EACH ROW EXECUTE FUNCTION follow_life_cycle();
CREATE TRIGGER remove_sessions AFTER UPDATE OF status ON users FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION remove_sessions();
GRANT DELETE, INSERT, SELECT, UPDATE ON users TO tessera;

CREATE OR REPLACE FUNCTION public.current_tenant_id()
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE
AS $function$
begin
  if coalesce(current_setting('app.current_tenant_id', true), '') = '' then
    raise exception 'no tenant is set for this transaction' using errcode = '42501';
  end if;
  return current_setting('app.current_tenant_id')::uuid;
end
$function$;
GRANT EXECUTE ON FUNCTION current_tenant_id() TO tessera;

CREATE OR REPLACE FUNCTION public.directory_key(kind text, key text)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select sha256(convert_to(kind || chr(31) || key, 'UTF8')) $function$;
GRANT EXECUTE ON FUNCTION directory_key(text,text) TO tessera;

CREATE OR REPLACE FUNCTION public.end_sessions()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  new.sessions_valid_from := date_trunc('second', now());
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION public.end_sessions_of(tenant uuid, owner uuid, only_id uuid, kept_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
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
$function$;
GRANT EXECUTE ON FUNCTION end_sessions_of(uuid,uuid,uuid,uuid) TO tessera;

CREATE OR REPLACE FUNCTION public.follow_life_cycle()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION public.note_config_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  changed_tenant uuid := coalesce(new.tenant_id, old.tenant_id);
  stamp text := pg_current_xact_id()::text || ':' || changed_tenant::text;
begin
  if current_setting('app.config_change', true) is distinct from stamp then
    insert into config_changes (tenant_id, changed_in) values (changed_tenant, pg_current_xact_id())
    on conflict (tenant_id) do update set changed_in = excluded.changed_in;
    perform set_config('app.config_change', stamp, true);
  end if;
  return null;
end
$function$;
GRANT EXECUTE ON FUNCTION note_config_change() TO tessera;

CREATE OR REPLACE FUNCTION public.present_protocol_row(presented bytea, tenant uuid, use_up boolean)
 RETURNS TABLE(model text, tenant_id uuid, key bytea, uid_key bytea, sealed_payload bytea, consumed_at timestamp with time zone, last_activity_at timestamp with time zone, account jsonb)
 LANGUAGE plpgsql
 SET enable_bitmapscan TO 'off'
AS $function$
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
$function$;
GRANT EXECUTE ON FUNCTION present_protocol_row(bytea,uuid,boolean) TO tessera;

CREATE OR REPLACE FUNCTION public.present_session(presented bytea, use_up boolean)
 RETURNS TABLE(tenant_id uuid, key bytea, uid_key bytea, sealed_payload bytea, last_activity_at timestamp with time zone, account jsonb)
 LANGUAGE plpgsql
 SET enable_bitmapscan TO 'off'
AS $function$
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
$function$;
GRANT EXECUTE ON FUNCTION present_session(bytea,boolean) TO tessera;

CREATE OR REPLACE FUNCTION public.present_user(wanted uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
AS $function$
begin
  return (
    select to_jsonb(u) - 'password_hash' || jsonb_build_object('roles', array(
      select r.role_name from user_roles r where r.user_id = u.id order by r.role_name
    ))
    from users u where u.id = wanted
  );
end
$function$;
GRANT EXECUTE ON FUNCTION present_user(uuid) TO tessera;

CREATE OR REPLACE FUNCTION public.presented_key()
 RETURNS bytea
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$ select decode(nullif(current_setting('app.presented_key', true), ''), 'hex') $function$;
GRANT EXECUTE ON FUNCTION presented_key() TO tessera;

CREATE OR REPLACE PROCEDURE public.protect_tenant_table(IN target regclass)
 LANGUAGE plpgsql
AS $procedure$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant_isolation on %s using (tenant_id = (select current_tenant_id())) with check (tenant_id = (select current_tenant_id()))',
    target
  );
end
$procedure$;

CREATE OR REPLACE FUNCTION public.protocol_tenant_id()
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE
AS $function$
begin
  if coalesce(current_setting('app.current_tenant_id', true), '') = '' and presented_key() is not null then
    return null;
  end if;
  return current_tenant_id();
end
$function$;
GRANT EXECUTE ON FUNCTION protocol_tenant_id() TO tessera;

CREATE OR REPLACE FUNCTION public.remove_sessions()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform end_sessions_of(new.tenant_id, new.id, null, null);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION public.sessions_lock(owner uuid)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select hashtextextended('tessera sessions of ' || owner::text, 0) $function$;
GRANT EXECUTE ON FUNCTION sessions_lock(uuid) TO tessera;

CREATE OR REPLACE FUNCTION public.sync_directory()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  old_key text := case when tg_op <> 'INSERT' then to_jsonb(old) ->> tg_argv[1] end;
  new_key text := case when tg_op <> 'DELETE' then to_jsonb(new) ->> tg_argv[1] end;
begin
  if old_key is not distinct from new_key then
    return null;
  end if;
  if old_key is not null then
    delete from directory where kind = tg_argv[0] and key_hash = directory_key(tg_argv[0], old_key);
  end if;
  if new_key is not null then
    insert into directory (kind, key_hash, tenant_id) values (tg_argv[0], directory_key(tg_argv[0], new_key), new.tenant_id);
  end if;
  return null;
end
$function$;
GRANT EXECUTE ON FUNCTION sync_directory() TO tessera;

CREATE OR REPLACE PROCEDURE public.watch_config_table(IN target regclass)
 LANGUAGE plpgsql
AS $procedure$
begin
  execute format(
    'create constraint trigger note_config_change after insert or update or delete on %s deferrable initially deferred for each row execute function note_config_change()',
    target
  );
end
$procedure$;
