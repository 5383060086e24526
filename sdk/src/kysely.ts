export * from './run/errors.ts';
export { withTenant } from './run/kysely.ts';
export type { TenantOptions } from './run/open.ts';
