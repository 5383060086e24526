import type { ColumnType, Generated, JSONColumnType } from 'kysely';

type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>;
type NullableTimestamp = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
/** Filled by the column's default from `app.current_tenant_id`; queries do not mention it. */
type TenantId = ColumnType<string, string | undefined, never>;

export interface TenantSettings {
  mfa?: 'optional' | 'required' | undefined;
  /** ISO 8601 durations, and how many sessions a user may have at once. */
  session?:
    | { idle?: string | undefined; absolute?: string | undefined; limit?: number | undefined }
    | undefined;
}

export interface ClientResource {
  identifier: string;
  scopes: string[];
}

export interface TenantsTable {
  tenant_id: ColumnType<string, string, never>;
  slug: string;
  name: string;
  status: Generated<'active' | 'disabled'>;
  settings: JSONColumnType<TenantSettings, string | undefined, string>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface DirectoryTable {
  kind: 'slug' | 'domain' | 'client';
  key_hash: Buffer;
  tenant_id: string;
}

export interface TenantDomainsTable {
  tenant_id: TenantId;
  domain: string;
  verified_at: Timestamp;
}

export interface ConfigChangesTable {
  tenant_id: string;
  changed_in: string;
}

export interface RolesTable {
  tenant_id: TenantId;
  name: string;
  permissions: Generated<string[]>;
}

export interface UsersTable {
  tenant_id: TenantId;
  id: Generated<string>;
  email: string;
  email_verified: Generated<boolean>;
  name: string | null;
  password_hash: string | null;
  status: Generated<'invited' | 'active' | 'disabled' | 'compromised' | 'erased'>;
  created_at: Timestamp;
  updated_at: Timestamp;
  sessions_valid_from: NullableTimestamp;
  password_compromised: Generated<boolean>;
  failed_login_attempts: Generated<number>;
  failed_device_attempts: Generated<number>;
  locked_until: NullableTimestamp;
  last_login_at: NullableTimestamp;
  last_login_ip: string | null;
}

export interface KnownDevicesTable {
  tenant_id: TenantId;
  id: Generated<string>;
  user_id: string;
  secret_hash: Buffer;
  created_at: ColumnType<Date, Date | string, never>;
  last_seen_at: ColumnType<Date, Date | string, Date | string>;
  failed_login_attempts: Generated<number>;
  locked_until: NullableTimestamp;
}

export interface UserRolesTable {
  tenant_id: TenantId;
  user_id: string;
  role_name: string;
}

export interface ClientsTable {
  tenant_id: TenantId;
  client_id: string;
  client_name: string;
  status: Generated<'active' | 'disabled'>;
  shared: Generated<boolean>;
  allowed_tenants: string[] | null;
  redirect_uris: Generated<string[]>;
  post_logout_redirect_uris: Generated<string[]>;
  grant_types: string[];
  response_modes: Generated<string[]>;
  token_endpoint_auth_method: string;
  id_token_signed_response_alg: Generated<string>;
  jwks: JSONColumnType<{ keys: Record<string, unknown>[] }, string | null, string | null> | null;
  jwks_uri: string | null;
  client_uri: string | null;
  resources: JSONColumnType<ClientResource[], string | undefined, string>;
  first_party: Generated<boolean>;
  require_pkce: Generated<boolean>;
  require_pushed_authorization_requests: Generated<boolean>;
  dpop_bound_access_tokens: Generated<boolean>;
  allowed_ips: Generated<string[]>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ClientSecretsTable {
  tenant_id: TenantId;
  client_id: string;
  id: Generated<string>;
  secret_hash: Buffer;
  created_at: Timestamp;
  expires_at: NullableTimestamp;
}

export interface ResourceServersTable {
  tenant_id: TenantId;
  identifier: string;
  name: string;
  scopes: Generated<string[]>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface SigningKeysTable {
  tenant_id: TenantId;
  kid: string;
  alg: 'ES256' | 'RS256' | 'PS256' | 'EdDSA';
  public_jwk: JSONColumnType<Record<string, unknown>, string, never>;
  sealed_private_jwk: Buffer;
  published_at: Timestamp;
  active_from: NullableTimestamp;
  retired_at: NullableTimestamp;
}

export interface ServerSecretsTable {
  tenant_id: TenantId;
  name: 'cookie_key' | 'dpop_nonce' | 'protocol_store';
  id: Generated<string>;
  sealed_secret: Buffer;
  created_at: Timestamp;
}

export interface ProtocolStoreTable {
  tenant_id: TenantId;
  key: Buffer;
  model: string;
  grant_key: Buffer | null;
  session_key: Buffer | null;
  user_id: string | null;
  sealed_payload: Buffer;
  consumed_at: NullableTimestamp;
  expires_at: ColumnType<Date, Date | string, Date | string>;
}

export interface SessionsTable {
  tenant_id: TenantId;
  uid_key: Buffer;
  key: Buffer;
  id: Generated<string>;
  user_id: string | null;
  sealed_payload: Buffer;
  created_at: Timestamp;
  authenticated_at: NullableTimestamp;
  last_activity_at: Timestamp;
  expires_at: ColumnType<Date, Date | string, Date | string>;
  ends_at: ColumnType<Date, Date | string, Date | string>;
  ip: string | null;
  user_agent: string | null;
  device_label: string | null;
  amr: string[] | null;
  acr: string | null;
}

export interface RateLimitsTable {
  key: string;
  points: Generated<number>;
  /** Milliseconds since 1970. */
  expire: ColumnType<string, string | number, string | number>;
}

export interface MailsTable {
  tenant_id: TenantId;
  id: Generated<string>;
  user_id: string | null;
  kind: string;
  sealed_message: Buffer;
  created_at: Timestamp;
  attempts: Generated<number>;
  last_error: string | null;
}

export interface SchemaMigrationsTable {
  name: string;
  checksum: Buffer;
  applied_at: Timestamp;
}

/** Row types, one entry per table; a test compares them with the catalogue. */
export interface Schema {
  tenants: TenantsTable;
  directory: DirectoryTable;
  tenant_domains: TenantDomainsTable;
  config_changes: ConfigChangesTable;
  roles: RolesTable;
  users: UsersTable;
  user_roles: UserRolesTable;
  known_devices: KnownDevicesTable;
  clients: ClientsTable;
  client_secrets: ClientSecretsTable;
  resource_servers: ResourceServersTable;
  signing_keys: SigningKeysTable;
  server_secrets: ServerSecretsTable;
  protocol_store: ProtocolStoreTable;
  sessions: SessionsTable;
  rate_limits: RateLimitsTable;
  mails: MailsTable;
  schema_migrations: SchemaMigrationsTable;
}
