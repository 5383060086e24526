export * from './run/errors.ts';
export type { TenantOptions } from './run/open.ts';
export { refuseUnboundRole, type TenantTx, withTenant } from './run/pg.ts';
