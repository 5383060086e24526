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
  let found = await readSecrets(tx, masterKeys);
  const missing = Object.entries(wanted).flatMap(([name, count]) =>
    Array.from({ length: Math.max(0, count - found[name as SecretName].length) }, () => name as SecretName),
  );
  for (const name of missing) {
    const id = randomUUID();
    const sealed_secret = seal(masterKeys, randomBytes(32), associated(id));
    await tx.insertInto('server_secrets').values({ name, id, sealed_secret }).execute();
  }
  if (missing.length) {
    // In the order that every other node will read.
    found = await readSecrets(tx, masterKeys);
  }
  return {
    cookie_key: found.cookie_key,
    dpop_nonce: found.dpop_nonce[0]!,
    protocol_store: found.protocol_store[0]!,
  };
}

async function readSecrets(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
): Promise<Record<SecretName, Buffer[]>> {
  const rows = await tx
    .selectFrom('server_secrets')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute();
  const found: Record<SecretName, Buffer[]> = { cookie_key: [], dpop_nonce: [], protocol_store: [] };
  for (const { name, id, sealed_secret } of rows) {
    found[name].push(open(masterKeys, sealed_secret, associated(id)));
  }
  return found;
}

/** Serialises the making of keys and secrets over all nodes, until the transaction ends. */
export async function lockKeys(tx: TenantTx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('tessera keys'))`.execute(tx);
}
