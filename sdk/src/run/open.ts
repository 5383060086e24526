import { AsyncLocalStorage } from 'node:async_hooks';
import { TokenError } from '../verify/errors.ts';
import { assertVerified, goodUntil, type VerifiedToken } from '../verify/verified-token.ts';
import { type Ask, refuseUnboundRole } from './bound-role.ts';
import {
  OtherCallerError,
  OtherRoleError,
  OtherTenantError,
  RolledBackError,
  TransactionOverError,
} from './errors.ts';
import { tenantOf } from './settings.ts';

export interface TenantOptions {
  /** A database role to run as, for this transaction only: `set local role`. The login role must be a member of it. */
  role?: string;
}

/** A tenant's transaction from BEGIN until its work ends. */
interface Open {
  db: object;
  token: VerifiedToken;
  role: string | undefined;
  tx: object | undefined;
  ended: boolean;
  /** Of a joined work that threw. */
  failure: { error: unknown } | undefined;
}

/** How one library opens a transaction. `Tx` is the library's own. */
export interface Adapter<Tx extends object> {
  ask: Ask;
  /** The settings in the form that `transact` sends. */
  write: (token: VerifiedToken, role?: string) => string;
  /**
   * Opens a transaction with the settings, calls `inside` with the library's view of it, and commits; rolls back and throws
   * when `inside` throws. `assertOpen` throws as soon as the work has ended.
   */
  transact<T>(settings: string, inside: (tx: Tx) => Promise<T>, assertOpen: () => void): Promise<T>;
}

const nesting = new AsyncLocalStorage<readonly Open[]>();
const byTx = new WeakMap<object, Open>();

/**
 * What every `withTenant` does. Inside of a transaction of the same `db` object (found by the async context, or by passing
 * its `tx` as the database) `work` joins it: no second connection, and COMMIT is that of the outermost. A joined work that
 * throws takes the whole transaction with it, even when the outer work catches the error.
 */
export async function runWithTenant<Tx extends object, T>(
  db: object,
  token: VerifiedToken,
  work: (tx: Tx) => Promise<T>,
  { role, adapter }: { role: string | undefined; adapter: () => Adapter<Tx> },
): Promise<T> {
  assertVerified(token);
  const outer = byTx.get(db) ?? nesting.getStore()?.findLast((open) => open.db === db && !open.ended);
  if (outer) return join(outer, token, role, work);
  if (goodUntil(token).getTime() <= Date.now()) {
    throw new TokenError('expired', 'the token has expired since it was verified');
  }
  const { ask, write, transact } = adapter();
  const settings = write(token, role);
  await refuseUnboundRole(db, role, ask);
  const open: Open = { db, token, role, tx: undefined, ended: false, failure: undefined };
  return transact(
    settings,
    (tx: Tx) => inside(open, tx, work),
    () => {
      if (open.ended) throw new TransactionOverError();
    },
  );
}

async function inside<Tx extends object, T>(open: Open, tx: Tx, work: (tx: Tx) => Promise<T>): Promise<T> {
  open.tx = tx;
  byTx.set(tx, open);
  try {
    const result = await nesting.run([...(nesting.getStore() ?? []), open], async () => work(tx));
    if (open.failure) throw new RolledBackError(open.failure.error);
    return result;
  } finally {
    open.ended = true;
  }
}

async function join<Tx extends object, T>(
  open: Open,
  token: VerifiedToken,
  role: string | undefined,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  if (open.ended) throw new TransactionOverError();
  if (tenantOf(open.token) !== tenantOf(token)) throw new OtherTenantError();
  if (!isSameCaller(open.token, token)) throw new OtherCallerError();
  if (role !== undefined && role !== open.role) throw new OtherRoleError();
  try {
    return await work(open.tx as Tx);
  } catch (error) {
    open.failure ??= { error };
    throw error;
  }
}

// A renewed token of the same caller differs in its times only; nothing that a policy should go by.
function isSameCaller(a: VerifiedToken, b: VerifiedToken): boolean {
  return (
    a === b ||
    (a.subject === b.subject &&
      a.clientId === b.clientId &&
      a.scopes.size === b.scopes.size &&
      [...a.scopes].every((scope) => b.scopes.has(scope)))
  );
}
