import type { Insertable, Selectable } from 'kysely';
import type { ClientsTable } from '#src/database/schema.ts';
import type { TenantTx } from '#src/database/tenant.ts';

export type Client = Omit<Selectable<ClientsTable>, 'tenant_id' | 'created_at' | 'updated_at'>;

export interface ClientSecret {
  id: string;
  /** SHA-256 of the secret. */
  secret_hash: Buffer;
  expires_at: Date | null;
}

export type ClientWithSecrets = Client & { secrets: ClientSecret[] };

const columns = [
  'client_id',
  'client_name',
  'status',
  'shared',
  'allowed_tenants',
  'redirect_uris',
  'post_logout_redirect_uris',
  'grant_types',
  'response_modes',
  'token_endpoint_auth_method',
  'id_token_signed_response_alg',
  'jwks',
  'jwks_uri',
  'client_uri',
  'resources',
  'first_party',
  'require_pkce',
  'require_pushed_authorization_requests',
  'dpop_bound_access_tokens',
  'allowed_ips',
] as const satisfies (keyof Client)[];

/** All clients of the tenant. */
export async function listClients(tx: TenantTx): Promise<Client[]> {
  return tx.selectFrom('clients').select(columns).orderBy('client_id').execute();
}

/** One client of the tenant with every secret that has not expired, newest first. */
export async function findClientWithSecrets(
  tx: TenantTx,
  client_id: string,
): Promise<ClientWithSecrets | undefined> {
  const [client, secrets] = await Promise.all([
    tx.selectFrom('clients').select(columns).where('client_id', '=', client_id).executeTakeFirst(),
    listClientSecrets(tx, client_id),
  ]);
  return client && { ...client, secrets };
}

/** The secrets of a client that have not expired, newest first. */
export async function listClientSecrets(tx: TenantTx, client_id: string): Promise<ClientSecret[]> {
  return tx
    .selectFrom('client_secrets')
    .select(['id', 'secret_hash', 'expires_at'])
    .where('client_id', '=', client_id)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', new Date())]))
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute();
}

export type ClientInput = Omit<Insertable<ClientsTable>, 'tenant_id' | 'created_at' | 'updated_at'>;

/** Creates the client or makes an existing one the same. A client_id of another tenant is a unique violation of the directory. */
export async function putClient(tx: TenantTx, client: ClientInput): Promise<void> {
  const { client_id: _, ...change } = client;
  await tx
    .insertInto('clients')
    .values(client)
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'client_id']).doUpdateSet({ ...change, updated_at: new Date() }),
    )
    .execute();
}

/** Disables or enables a client; false when the tenant has none of this id. */
export async function setClientStatus(
  tx: TenantTx,
  client_id: string,
  status: Client['status'],
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('clients')
    .set({ status, updated_at: new Date() })
    .where('client_id', '=', client_id)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
