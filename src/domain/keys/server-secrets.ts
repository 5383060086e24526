import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { ServerSecretsTable } from '#src/database/schema.ts';
import type { TenantTx } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { type MasterKey, open, seal } from '#src/lib/master-key.ts';

type SecretName = ServerSecretsTable['name'];

/** How many of each are kept: the first cookie key signs, all verify. */
const wanted: Record<SecretName, number> = { cookie_key: 2, dpop_nonce: 1, protocol_store: 1 };

export interface ServerSecrets {
  /** Newest first. */
  cookie_key: Buffer[];
  dpop_nonce: Buffer;
  protocol_store: Buffer;
}

const associated = (id: string) => ({
  tenant_id: platformTenantId,
  table: 'server_secrets',
  column: 'sealed_secret',
  row: id,
});

/**
 * The secrets that all nodes share, 32 random bytes each, made by the first node that asks. Runs under the platform tenant.
 * Throws SealError when no configured master key opens them.
 */
export async function ensureServerSecrets(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
): Promise<ServerSecrets> {
  await lockKeys(tx);
  const rows = await tx
    .selectFrom('server_secrets')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute();
  const found = new Map<SecretName, Buffer[]>();
  for (const { name, id, sealed_secret } of rows) {
    found.set(name, [...(found.get(name) ?? []), open(masterKeys, sealed_secret, associated(id))]);
  }
  for (const [name, count] of Object.entries(wanted) as [SecretName, number][]) {
    const secrets = found.get(name) ?? [];
    while (secrets.length < count) {
      const id = randomUUID();
      const secret = randomBytes(32);
      await tx
        .insertInto('server_secrets')
        .values({ name, id, sealed_secret: seal(masterKeys, secret, associated(id)) })
        .execute();
      secrets.push(secret);
    }
    found.set(name, secrets);
  }
  return {
    cookie_key: found.get('cookie_key')!,
    dpop_nonce: found.get('dpop_nonce')![0]!,
    protocol_store: found.get('protocol_store')![0]!,
  };
}

/** Serialises the making of keys and secrets over all nodes, until the transaction ends. */
export async function lockKeys(tx: TenantTx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('tessera keys'))`.execute(tx);
}
