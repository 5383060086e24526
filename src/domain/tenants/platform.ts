/** The tenant row that owns what all tenants share: shared clients and resource servers, signing keys, server secrets. */
export const platformTenantId = '00000000-0000-4000-8000-000000000001';
