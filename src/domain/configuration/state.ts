import { sql } from 'kysely';
import type { TenantTx } from '#src/database/tenant.ts';
import { isReservedClientId } from '#src/domain/clients/built-in-clients.ts';
import { type ClientWithSecrets, listClients } from '#src/domain/clients/clients.ts';
import { listResourceServers, type ResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { findTenant, listTenantDomains, type Tenant } from '#src/domain/tenants/tenants.ts';
import { listRoles, type Role } from '#src/domain/users/roles.ts';
import type { User } from '#src/domain/users/users.ts';

export type StoredUser = Omit<User, 'updated_at' | 'sessions_valid_from'> & {
  password_hash: string | null;
  password_compromised: boolean;
};

/** What the database holds of a tenant, by the names that the file uses. */
export interface TenantState {
  tenant: Tenant | undefined;
  domains: ReadonlySet<string>;
  resources: ReadonlyMap<string, ResourceServer>;
  roles: ReadonlyMap<string, Role>;
  users: ReadonlyMap<string, StoredUser>;
  /** With the secrets that are alive. */
  clients: ReadonlyMap<string, ClientWithSecrets>;
}

/** The state of a tenant that does not exist yet. */
export const emptyState: TenantState = {
  tenant: undefined,
  domains: new Set(),
  resources: new Map(),
  roles: new Map(),
  users: new Map(),
  clients: new Map(),
};

/** Reads the tenant of the transaction; of its users those with the addresses given, or all. */
export async function readTenantState(tx: TenantTx, emails?: readonly string[]): Promise<TenantState> {
  return {
    tenant: await findTenant(tx),
    domains: new Set(await listTenantDomains(tx)),
    resources: keyed(await listResourceServers(tx), ({ identifier }) => identifier),
    roles: keyed(await listRoles(tx), ({ name }) => name),
    users: keyed(await readUsers(tx, emails), ({ email }) => email),
    clients: keyed(await readClients(tx), ({ client_id }) => client_id),
  };
}

function keyed<T>(rows: T[], nameOf: (row: T) => string): Map<string, T> {
  return new Map(rows.map((row) => [nameOf(row), row]));
}

async function readUsers(tx: TenantTx, emails: readonly string[] | undefined): Promise<StoredUser[]> {
  return tx
    .selectFrom('users')
    .select(['id', 'email', 'email_verified', 'name', 'status', 'password_hash', 'password_compromised'])
    .select(
      sql<string[]>`array(
        select role_name from user_roles where user_roles.user_id = users.id order by role_name
      )`.as('roles'),
    )
    .where('status', '<>', 'erased')
    .$if(emails !== undefined, (query) => query.where(sql<boolean>`email = any(${emails})`))
    .orderBy('email')
    .execute();
}

/**
 * Locks the users with these addresses, in the order of their addresses as every writer of several does. What is read
 * afterwards is what nobody else changes until the transaction ends.
 */
export async function lockUsers(tx: TenantTx, emails: readonly string[]): Promise<void> {
  await sql`select from users where email = any(${emails}) order by email for update`.execute(tx);
}

async function readClients(tx: TenantTx): Promise<ClientWithSecrets[]> {
  const clients = (await listClients(tx)).filter(({ client_id }) => !isReservedClientId(client_id));
  const secrets = await tx
    .selectFrom('client_secrets')
    .select(['client_id', 'id', 'secret_hash', 'expires_at'])
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', new Date())]))
    .execute();
  return clients.map((client) => ({
    ...client,
    secrets: secrets.filter(({ client_id }) => client_id === client.client_id),
  }));
}
