export { type TenantTx, withTenant } from './run/drizzle.ts';
export * from './run/errors.ts';
export type { TenantOptions } from './run/open.ts';
