export * from './run/errors.ts';
export type { TenantOptions } from './run/open.ts';
export { type TenantTx, withTenant } from './run/prisma.ts';
