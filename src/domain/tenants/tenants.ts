import type { TenantSettings } from '#src/database/schema.ts';
import { type TenantTx, tenantIdOf } from '#src/database/tenant.ts';

export interface Tenant {
  tenant_id: string;
  slug: string;
  name: string;
  status: 'active' | 'disabled';
  settings: TenantSettings;
}

/** The tenant of the transaction. */
export async function findTenant(tx: TenantTx): Promise<Tenant | undefined> {
  return tx
    .selectFrom('tenants')
    .select(['tenant_id', 'slug', 'name', 'status', 'settings'])
    .executeTakeFirst();
}

/** Makes the row of the tenant that the transaction runs under. A taken slug is a unique violation of the directory. */
export async function createTenant(
  tx: TenantTx,
  input: { slug: string; name: string; settings?: TenantSettings },
): Promise<void> {
  await tx
    .insertInto('tenants')
    .values({
      tenant_id: tenantIdOf(tx),
      slug: input.slug,
      name: input.name,
      settings: JSON.stringify(input.settings ?? {}),
    })
    .execute();
}

/** Changes what is given; false when there is no such tenant. */
export async function updateTenant(
  tx: TenantTx,
  change: { name?: string; status?: Tenant['status']; settings?: TenantSettings },
): Promise<boolean> {
  const { settings, ...rest } = change;
  const { numUpdatedRows } = await tx
    .updateTable('tenants')
    .set({
      ...rest,
      ...(settings === undefined ? {} : { settings: JSON.stringify(settings) }),
      updated_at: new Date(),
    })
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** The verified e-mail domains of the tenant. */
export async function listTenantDomains(tx: TenantTx): Promise<string[]> {
  const rows = await tx.selectFrom('tenant_domains').select('domain').orderBy('domain').execute();
  return rows.map(({ domain }) => domain);
}

/** Makes these the tenant's e-mail domains. A domain of another tenant is a unique violation of the directory. */
export async function replaceTenantDomains(tx: TenantTx, domains: readonly string[]): Promise<void> {
  const known = await listTenantDomains(tx);
  const removed = known.filter((domain) => !domains.includes(domain));
  const added = domains.filter((domain) => !known.includes(domain));
  if (removed.length) {
    await tx.deleteFrom('tenant_domains').where('domain', 'in', removed).execute();
  }
  if (added.length) {
    await tx
      .insertInto('tenant_domains')
      .values(added.map((domain) => ({ domain })))
      .execute();
  }
}
