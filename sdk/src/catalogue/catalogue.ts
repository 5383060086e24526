/** What the rules and the prover know of a database. Names are as stored, unquoted; `table` is an object id. */
export interface Catalogue {
  /** `server_version_num`: 150018. */
  version: number;
  database: string;
  /** The role that the application logs in as. */
  role: Role;
  roles: Role[];
  tables: Table[];
  policies: Policy[];
  constraints: Constraint[];
  indexes: Index[];
  views: View[];
  functions: RoutineInfo[];
  /** Functions of schemas that are not looked at, the SQL kit's included: policies call them. */
  helpers: RoutineInfo[];
  triggers: { name: string; table: string; function: string; enabled: boolean }[];
  /** What the runtime role may do, PUBLIC, ownership and roles that it may become included. */
  grants: Grant[];
  /** `alter role … set`, `alter database … set`. */
  defaults: { role: string; database: string; name: string; value: string }[];
  /** Tables by object id. */
  publications: { name: string; allTables: boolean; tables: string[] }[];
}

export interface Grant {
  kind: 'database' | 'schema' | 'table' | 'column' | 'sequence' | 'function';
  /** The object id as text; that of the table for a column. */
  id: string;
  /** `schema.name`; `schema.table.column` for a column, the name alone for a schema and a database. */
  object: string;
  /** In lower case: `select`. A column has a row only for what the whole table does not allow. */
  privilege: string;
  /** Roles of the access list that it comes from, `public` for PUBLIC; none when it comes otherwise. */
  through: string[];
}

export interface Role {
  name: string;
  superuser: boolean;
  bypassRls: boolean;
  canLogin: boolean;
  createRole: boolean;
  createDatabase: boolean;
  replication: boolean;
  /** Roles it is a member of, directly or not: it may become them. */
  memberOf: string[];
  /** Whether it may select from every table that is looked at. */
  readsAllTables: boolean;
}

export interface Table {
  /** Stable within one reading: the object id as text. */
  id: string;
  schema: string;
  name: string;
  kind: 'table' | 'partitioned' | 'partition' | 'foreign';
  owner: string;
  rls: boolean;
  forced: boolean;
  /** Parents by inheritance or partition. */
  parents: string[];
  columns: Column[];
  /** The column that holds the tenant, by name. */
  tenantColumn: string | undefined;
  estimatedRows: number;
}

export interface Column {
  name: string;
  number: number;
  /** As `format_type` prints it. */
  type: string;
  typeId: string;
  notNull: boolean;
  default: string | undefined;
  identity: 'always' | 'default' | undefined;
  generated: boolean;
}

export interface Policy {
  name: string;
  table: string;
  permissive: boolean;
  command: 'select' | 'insert' | 'update' | 'delete' | 'all';
  /** Empty for PUBLIC. */
  roles: string[];
  using: string | undefined;
  check: string | undefined;
}

export interface Constraint {
  name: string;
  table: string;
  kind: 'primary' | 'unique' | 'foreign' | 'check' | 'exclusion';
  columns: string[];
  definition: string;
  /** Whether a partition has it from its parent. */
  inherited: boolean;
  references?: { table: string; columns: string[]; onDelete: string; onUpdate: string };
}

export interface Index {
  name: string;
  table: string;
  unique: boolean;
  primary: boolean;
  /** Column names in order; an expression is the empty string. */
  columns: string[];
  /** Partial: its condition. */
  where: string | undefined;
  constraint: string | undefined;
  /** Whether a partition has it from its parent. */
  inherited: boolean;
  /** False while it is built, and after that has failed. */
  valid: boolean;
  definition: string;
}

export interface View {
  id: string;
  schema: string;
  name: string;
  owner: string;
  materialised: boolean;
  securityInvoker: boolean;
  /** Tables and views that it reads. */
  reads: string[];
}

export interface RoutineInfo {
  id: string;
  schema: string;
  name: string;
  arguments: string;
  owner: string;
  language: string;
  definer: boolean;
  leakproof: boolean;
  volatility: 'immutable' | 'stable' | 'volatile';
  returnsSet: boolean;
  returns: string;
  source: string;
  /** `set` clauses: `search_path=…`. */
  settings: string[];
  /** Whether the runtime role may call it. */
  callable: boolean;
  /** Whether an extension brought it. */
  extension: string | undefined;
}
