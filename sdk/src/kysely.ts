export * from './run/errors.ts';
export { type KyselyTenantOptions, withTenant } from './run/kysely.ts';
export type { TenantOptions } from './run/open.ts';
