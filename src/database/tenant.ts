import type { Kysely } from 'kysely';
import type pg from 'pg';
import { bindKysely, runStatement, type Statement } from './connection.ts';
import type { Database } from './pool.ts';
import type { Schema } from './schema.ts';

declare const brand: unique symbol;

/** Kysely inside one transaction that runs under one tenant. Only this file makes it: a bare pool handed to a domain function does not compile. */
export type TenantTx = Kysely<Schema> & { readonly [brand]: 'TenantTx' };

const tenantOf = new WeakMap<TenantTx, string>();

/** The tenant that the transaction runs under. */
export function tenantIdOf(tx: TenantTx): string {
  return tenantOf.get(tx)!;
}

/** Raised when the database ended the transaction instead of committing it. */
export class TransactionLostError extends Error {
  override readonly name = 'TransactionLostError';
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether the text is a UUID in lower case, the only form of a tenant id. */
export function isTenantId(text: string): boolean {
  return uuidForm.test(text);
}

/** A transaction that may begin before its tenant is known. Once it has ended, all but `commit` and `rollback` throw. */
export interface OpenTransaction {
  /** The tenant's view; throws until the tenant is known. */
  tx(): TenantTx;
  tenantId(): string | undefined;
  /** Fixes the tenant; another one than already set is refused. */
  setTenant(tenant_id: string): void;
  /** Sends a statement now; the answer may be awaited or left to `commit`. */
  run<Row extends pg.QueryResultRow>(statement: Statement): Promise<pg.QueryResult<Row>>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** How long a request may spend in one transaction, the wait for its connection included. Milliseconds. */
export const requestMs = 5_500;

/** Still tried after the time is over: a rollback that comes through saves the connection. Milliseconds. */
const rollbackMs = 500;

/**
 * Opens a transaction on a connection of the pool. `begin` and the settings are one message, and nothing waits for it: the
 * first statement follows in the same flight. What fails is reported by the statement behind it, or by `commit`. What is not
 * over `within` that many milliseconds (default: each statement has the limit of the pool) fails, and its connection is closed.
 */
export async function openTransaction(
  pool: pg.Pool,
  prepared: boolean,
  first: { tenant_id?: string | undefined; key?: Buffer | undefined; within?: number | undefined },
): Promise<OpenTransaction> {
  const endsAt = first.within === undefined ? undefined : performance.now() + first.within;
  const sent: Promise<unknown>[] = [];
  let tenant: string | undefined;
  let bound: TenantTx | undefined;
  let ended = false;

  const note = <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {});
    sent.push(promise);
    return promise;
  };
  const bindTenant = (tenant_id: string) => {
    if (!isTenantId(tenant_id)) {
      throw new Error('a tenant id must be a lower-case uuid');
    }
    tenant = tenant_id;
  };
  // The connection serves another transaction by then, perhaps of another tenant.
  const assertOpen = () => {
    if (ended) {
      throw new Error('the transaction has ended');
    }
  };

  const settings: string[] = [];
  if (first.tenant_id !== undefined) {
    bindTenant(first.tenant_id);
    settings.push(`set_config('app.current_tenant_id', '${tenant}', true)`);
  }
  if (first.key) {
    settings.push(`set_config('app.presented_key', '${first.key.toString('hex')}', true)`);
  }
  const client = await pool.connect();
  const send = <Row extends pg.QueryResultRow>(
    statement: Statement,
    { named = false, least = 1 }: { named?: boolean; least?: number } = {},
  ) =>
    runStatement<Row>(
      client,
      statement,
      named && prepared,
      endsAt === undefined ? undefined : Math.max(least, endsAt - performance.now()),
    );
  note(send({ text: settings.length ? `begin; select ${settings.join(', ')}` : 'begin' }));

  const end = async (command: 'commit' | 'rollback') => {
    if (ended) {
      return;
    }
    ended = true;
    let result: pg.QueryResult;
    try {
      result = await send({ text: command }, { least: command === 'rollback' ? rollbackMs : 1 });
    } catch (error) {
      client.release(error instanceof Error ? error : true);
      throw error;
    }
    client.release();
    if (command === 'commit' && result.command !== 'COMMIT') {
      // The statement that failed says why.
      await Promise.all(sent);
      throw new TransactionLostError('the transaction was rolled back by the database');
    }
  };

  return {
    tenantId: () => tenant,
    tx() {
      if (tenant === undefined) {
        throw new Error('the tenant of this transaction is not known yet');
      }
      if (!bound) {
        bound = bindKysely<Schema>((statement) => {
          assertOpen();
          return send(statement, { named: true });
        }) as TenantTx;
        tenantOf.set(bound, tenant);
      }
      return bound;
    },
    setTenant(tenant_id) {
      if (tenant === tenant_id) {
        return;
      }
      if (tenant !== undefined) {
        throw new Error('the transaction already runs under another tenant');
      }
      assertOpen();
      bindTenant(tenant_id);
      note(send({ text: `select set_config('app.current_tenant_id', '${tenant}', true)` }));
    },
    run(statement) {
      assertOpen();
      return note(send(statement, { named: true }));
    },
    async commit() {
      await end('commit');
      await Promise.all(sent);
    },
    rollback: () => end('rollback'),
  };
}

/**
 * Runs `work` in one transaction under the tenant (`app.current_tenant_id`, transaction-local) and commits; rolls back when it
 * throws. Given an open `TenantTx` it joins that transaction, and refuses when it runs under another tenant. `within` as of
 * `openTransaction`.
 */
export async function withTenant<T>(
  at: Database | TenantTx,
  tenant_id: string,
  work: (tx: TenantTx) => Promise<T>,
  { aux = false, within }: { aux?: boolean; within?: number } = {},
): Promise<T> {
  if (!('pool' in at)) {
    if (tenantIdOf(at) !== tenant_id) {
      throw new Error('the open transaction runs under another tenant');
    }
    return work(at);
  }
  const open = await openTransaction(aux ? at.aux : at.pool, at.prepared, { tenant_id, within });
  let result: T;
  try {
    result = await work(open.tx());
  } catch (error) {
    await open.rollback().catch(() => {});
    throw error;
  }
  await open.commit();
  return result;
}

/** The tenant that the directory names for this key, or undefined. One flight, on the auxiliary pool. */
export async function findTenantId(
  db: Database,
  kind: 'slug' | 'domain' | 'client',
  key_hash: Buffer,
): Promise<string | undefined> {
  const open = await openTransaction(db.aux, db.prepared, { key: key_hash, within: requestMs });
  const found = open.run<{ tenant_id: string }>({
    text: 'select tenant_id from directory where kind = $1 and key_hash = $2',
    values: [kind, key_hash],
  });
  await open.commit();
  return (await found).rows[0]?.tenant_id;
}
