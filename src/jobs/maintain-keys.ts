import { withTenant } from '#src/database/tenant.ts';
import { maintainSigningKeys } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { Services } from '#src/services.ts';

/** Rotates signing keys that are due and removes retired ones. Nodes take turns on the key lock. */
export async function maintainKeys({ config, db, now }: Services): Promise<void> {
  await withTenant(db, platformTenantId, (tx) => maintainSigningKeys(tx, config.masterKeys, now()), {
    aux: true,
  });
}
