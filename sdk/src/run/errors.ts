/** Why a tenant's transaction did not run, or did not commit. The codes are stable: log them, test for them. */
export type TenantErrorCode =
  | 'other_tenant'
  | 'other_caller'
  | 'other_role'
  | 'unbound_role'
  | 'unsafe_value'
  | 'transaction_over'
  | 'rolled_back'
  | 'database_unavailable'
  | 'unsupported_database';

/** What `withTenant` throws by itself; errors of SQL and of `work` pass through unchanged. Holds no claim and no value. */
export class TenantError extends Error {
  readonly code: TenantErrorCode;

  constructor(code: TenantErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** `withTenant` was called inside a transaction of another tenant. Nothing ran. */
export class OtherTenantError extends TenantError {
  constructor() {
    super(
      'other_tenant',
      'the open transaction belongs to another tenant; call withTenant after it has ended, not inside of its work',
    );
  }
}

/** The same tenant, but another subject, client or scopes: policies would go by the claims of the open transaction. */
export class OtherCallerError extends TenantError {
  constructor() {
    super(
      'other_caller',
      'the open transaction runs with the claims of another caller of this tenant; call withTenant after it has ended',
    );
  }
}

/** `withTenant` asked for a role inside a transaction that runs under another one. Nothing ran. */
export class OtherRoleError extends TenantError {
  constructor() {
    super(
      'other_role',
      'the open transaction runs under another database role; give the role to the outermost withTenant',
    );
  }
}

/** The connection's role is one that row-level security does not bind, or may become one. The message says how to mend it. */
export class UnboundRoleError extends TenantError {
  /** The database role. */
  readonly role: string;

  constructor(role: string, message: string) {
    super('unbound_role', message);
    this.role = role;
  }
}

/** A claim or role that cannot be a PostgreSQL setting, such as a claim with U+0000. Nothing ran. */
export class UnsafeValueError extends TenantError {
  constructor(message: string) {
    super('unsafe_value', message);
  }
}

/** A `tx` was used after its `work` had ended. Its connection may serve another tenant by now. */
export class TransactionOverError extends TenantError {
  constructor() {
    super(
      'transaction_over',
      'this transaction is over: await every statement inside of the work of withTenant, and keep no tx beyond it',
    );
  }
}

/** A failure was caught inside of `work`, which then ended as if all were well. Nothing was committed. */
export class RolledBackError extends TenantError {
  constructor(cause?: unknown) {
    super('rolled_back', 'rolled back: a failure was caught and swallowed inside of the transaction', {
      cause,
    });
  }
}

/** The database cannot be reached, or the connection was lost on the way. */
export class DatabaseUnavailableError extends TenantError {
  /** `unknown` when the connection was lost while the answer to COMMIT was awaited: look before you repeat. */
  readonly committed: 'no' | 'unknown';

  constructor(cause: unknown, committed: 'no' | 'unknown' = 'no') {
    super(
      'database_unavailable',
      committed === 'no'
        ? 'the database is unavailable; nothing was committed'
        : 'the connection was lost during COMMIT; whether it was committed is unknown',
      { cause },
    );
    this.committed = committed;
  }
}
