import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { TenantTx } from '#src/database/tenant.ts';
import type { ClientSecret } from './clients.ts';

/** A new client secret: 256 random bits, shown to its owner once. */
export function makeClientSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** How a secret is stored. A plain hash is enough for 256 random bits. */
export function hashClientSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Whether the secret is one of these and still alive. Takes the same time for every wrong secret. */
export function matchesClientSecret(given: string, secrets: readonly ClientSecret[], now: Date): boolean {
  const hash = hashClientSecret(given);
  let matched = false;
  for (const { secret_hash, expires_at } of secrets) {
    const alive = expires_at === null || expires_at > now;
    matched = (timingSafeEqual(hash, secret_hash) && alive) || matched;
  }
  return matched;
}

/**
 * Adds a secret beside those that live, so that a client moves over without downtime; with `retire_at` the others end then.
 * The same secret added twice is one row.
 */
export async function addClientSecret(
  tx: TenantTx,
  client_id: string,
  { secret, expires_at = null, retire_at }: { secret: string; expires_at?: Date | null; retire_at?: Date },
): Promise<void> {
  const secret_hash = hashClientSecret(secret);
  if (retire_at) {
    await tx
      .updateTable('client_secrets')
      .set({ expires_at: retire_at })
      .where('client_id', '=', client_id)
      .where('secret_hash', '!=', secret_hash)
      .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', retire_at)]))
      .execute();
  }
  await tx
    .insertInto('client_secrets')
    .values({ client_id, secret_hash, expires_at })
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'client_id', 'secret_hash']).doUpdateSet({ expires_at }),
    )
    .execute();
}
