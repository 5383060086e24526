-- Run by the migration owner after the migrations, every time. :runtime_role is replaced by the quoted name of the role in DATABASE_URL.
-- The runtime role owns nothing and gets rows only: no TRUNCATE, REFERENCES or TRIGGER, none of which row-level security would stop.
revoke all on all tables in schema public from public;
revoke all on all tables in schema public from :runtime_role;
-- A temporary table would hide ours from all that follows on its connection, whatever the tenant.
do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$;
grant usage on schema public to :runtime_role;
grant select, insert, update, delete on
  tenants, directory, tenant_domains, config_changes, roles, users, user_roles, known_devices, sessions,
  clients, client_secrets, resource_servers, signing_keys, server_secrets, protocol_store, rate_limits, mails
  to :runtime_role;
grant select on schema_migrations to :runtime_role;
revoke all on all routines in schema public from public;
grant execute on function current_tenant_id(), presented_key(), protocol_tenant_id(), present_protocol_row(bytea, uuid, boolean), present_session(bytea, boolean), present_user(uuid), sessions_lock(uuid), end_sessions_of(uuid, uuid, uuid, uuid), directory_key(text, text), sync_directory(), note_config_change() to :runtime_role;

-- The job queue's schema is another's: what its library runs on our pools, and no more.
revoke all on schema pgboss from public;
revoke all on all tables in schema pgboss from public;
revoke all on all tables in schema pgboss from :runtime_role;
revoke all on all routines in schema pgboss from public;
grant usage on schema pgboss to :runtime_role;
grant select on pgboss.version to :runtime_role;
grant select, update on pgboss.queue to :runtime_role;
grant select, insert, update, delete on pgboss.job, pgboss.job_common to :runtime_role;
-- Nothing writes these; its clean-up looks into them all the same.
grant select, delete on pgboss.job_dependency to :runtime_role;
grant select, update, delete on pgboss.instance to :runtime_role;
grant execute on function pgboss.job_now() to :runtime_role;
