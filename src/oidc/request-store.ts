import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import type { Statement } from '#src/database/connection.ts';
import type { Database } from '#src/database/pool.ts';
import { type OpenTransaction, openTransaction, requestMs, type TenantTx } from '#src/database/tenant.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import type { StoredRow } from './stored-objects.ts';

/**
 * What one HTTP request shares with the protocol store: its tenant, once known, and its one transaction, opened by the first
 * read or write. The library hands its adapter a model name and nothing else, so this travels in an AsyncLocalStorage.
 */
export interface RequestStore {
  readonly db: Database;
  /** Whether reads by identifier lock the row: wherever something may be used only once. */
  readonly lock: boolean;
  tenant_id?: string | undefined;
  /** The tenant's row, where a browser is served. */
  tenant?: Tenant;
  /** The address of the caller, where the caller is the client itself. */
  readonly client_ip: string | undefined;
  /** A row read ahead of the library's own read. */
  prefetched?: StoredRow;
  open?: Promise<OpenTransaction>;
  wrote: boolean;
  /** Whether something was used a second time: what that ended stays ended though the request is refused. */
  revoked?: true;
  /** The first failure of the database in this request; the answer is then 503 whatever the library made of it. */
  failure?: unknown;
}

const storage = new AsyncLocalStorage<RequestStore>();

/** The store of the request that runs now; throws outside of one. */
export function requestStore(): RequestStore {
  const store = storage.getStore();
  if (!store) {
    throw new Error('the protocol store is used outside of a request');
  }
  return store;
}

/** The tenant of the request that runs now, when it is known. */
export function requestTenantId(): string | undefined {
  return storage.getStore()?.tenant_id;
}

/** Fixes the tenant of this request; a request never changes its tenant. */
export function setRequestTenant(tenant_id: string): void {
  const store = requestStore();
  if (store.tenant_id !== undefined && store.tenant_id !== tenant_id) {
    throw new Error('the request already runs under another tenant');
  }
  store.tenant_id = tenant_id;
}

/**
 * Runs one request on the protocol store and commits before it returns, so that nothing is answered before its commit.
 * `work` gives its result and whether to keep what it wrote; a throw, too, rolls back. A failed commit throws.
 */
export async function runWithRequestStore<T>(
  db: Database,
  { lock, client_ip }: { lock: boolean; client_ip?: string | undefined },
  work: (store: RequestStore) => Promise<{ result: T; keep: boolean }>,
): Promise<T> {
  const store: RequestStore = { db, lock, client_ip, wrote: false };
  let outcome: { result: T; keep: boolean } | undefined;
  try {
    outcome = await storage.run(store, () => work(store));
  } finally {
    if (!outcome?.keep) {
      const open = await store.open?.catch(() => undefined);
      await open?.rollback().catch(() => {});
    }
  }
  if (outcome.keep && store.open) {
    const committed = store.open.then((open) => open.commit());
    if (store.wrote) {
      await committed;
    } else {
      committed.catch(() => {});
    }
  }
  return outcome.result;
}

/** The request's transaction; the key lets it see the row it names while the tenant is still unknown. */
async function openFor(store: RequestStore, key?: Buffer): Promise<OpenTransaction> {
  if (!store.open) {
    const { tenant_id } = store;
    // A known tenant sees its own rows and no other's, whatever is presented.
    const first = tenant_id === undefined ? { key } : { tenant_id };
    store.open = openTransaction(store.db.pool, store.db.prepared, { ...first, within: requestMs });
    return store.open;
  }
  const open = await store.open;
  if (store.tenant_id !== undefined) {
    open.setTenant(store.tenant_id);
  } else if (key) {
    open.presentKey(key);
  }
  return open;
}

/** The request's transaction for domain functions. Its tenant must be known. */
export async function requestTx(): Promise<TenantTx> {
  return (await openFor(requestStore())).tx();
}

/**
 * Reads one row by the key its bearer presents. A row of unknown tenant fixes the tenant of the request. The statements leave
 * in one flight, and the last one reads.
 */
export async function readByKey<Row extends { tenant_id: string } & pg.QueryResultRow>(
  key: Buffer,
  statements: Statement[],
): Promise<Row | undefined> {
  const store = requestStore();
  return noteFailure(async () => {
    const open = await openFor(store, key);
    const results = await Promise.all(statements.map((statement) => open.run<Row>(statement)));
    const row = results.at(-1)!.rows[0];
    if (row && store.tenant_id === undefined) {
      store.tenant_id = row.tenant_id;
      open.setTenant(row.tenant_id);
    }
    return row;
  });
}

/** Runs a statement under the tenant of the request and waits for its answer. */
export async function runInTenant<Row extends pg.QueryResultRow>(
  statement: Statement,
): Promise<pg.QueryResult<Row>> {
  const store = requestStore();
  return noteFailure(async () => (await openFor(store)).run<Row>(statement));
}

/** Sends a write without waiting for its answer: it travels ahead of the commit, which reports its failure. */
export async function sendInTenant(statement: Statement): Promise<void> {
  const store = requestStore();
  await noteFailure(async () => {
    store.wrote = true;
    void (await openFor(store)).run(statement);
  });
}

/** Keeps a failure for the answer, since the library may make a refusal of it. */
export async function noteFailure<T>(work: () => Promise<T>): Promise<T> {
  const store = requestStore();
  if (store.failure !== undefined) {
    // Waiting for the same again would only double the wait.
    throw store.failure;
  }
  try {
    return await work();
  } catch (error) {
    store.failure ??= error;
    throw error;
  }
}
