/** What the commands must know of a schema; the defaults are those of `withTenant` and of the SQL kit. */
export interface SchemaOptions {
  /** Schemas to look at; all but PostgreSQL's own, and `tenant` of the SQL kit, when empty. */
  schemas: string[];
  /** The role that the application logs in as. Without it: the role of the connection. */
  role: string | undefined;
  /** Names that a column has when it holds the tenant. */
  tenantColumns: string[];
  /** Settings that get the tenant's id as text. */
  settings: string[];
  /** Claims of `request.jwt.claims` that get the tenant's id. */
  claims: string[];
  /** Tables whose rows belong to all tenants, `schema.table`, with the reason. */
  shared: Record<string, string>;
}

export const defaultOptions: SchemaOptions = {
  schemas: [],
  role: undefined,
  tenantColumns: ['tenant_id'],
  settings: ['app.current_tenant_id'],
  claims: ['tenant_id'],
  shared: {},
};
