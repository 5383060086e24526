import type { TenantTx } from '#src/database/tenant.ts';

export interface Role {
  name: string;
  permissions: string[];
}

/** The roles of the tenant. */
export async function listRoles(tx: TenantTx): Promise<Role[]> {
  return tx.selectFrom('roles').select(['name', 'permissions']).orderBy('name').execute();
}

/** Creates the role or makes an existing one the same. */
export async function putRole(tx: TenantTx, { name, permissions }: Role): Promise<void> {
  await tx
    .insertInto('roles')
    .values({ name, permissions })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doUpdateSet({ permissions }))
    .execute();
}
