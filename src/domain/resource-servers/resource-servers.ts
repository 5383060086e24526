import type { TenantTx } from '#src/database/tenant.ts';

export interface ResourceServer {
  identifier: string;
  name: string;
  scopes: string[];
}

/** The APIs that tokens of this tenant may be asked for (RFC 8707), the platform's own being shared by all. */
export async function listResourceServers(tx: TenantTx): Promise<ResourceServer[]> {
  return tx
    .selectFrom('resource_servers')
    .select(['identifier', 'name', 'scopes'])
    .orderBy('identifier')
    .execute();
}

/** Creates the resource server or makes an existing one the same. */
export async function putResourceServer(
  tx: TenantTx,
  { identifier, name, scopes }: ResourceServer,
): Promise<void> {
  await tx
    .insertInto('resource_servers')
    .values({ identifier, name, scopes })
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'identifier']).doUpdateSet({ name, scopes, updated_at: new Date() }),
    )
    .execute();
}
