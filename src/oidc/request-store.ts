import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { runStatement, type Statement } from '#src/database/connection.ts';
import type { Database } from '#src/database/pool.ts';
import { type OpenTransaction, openTransaction, requestMs, type TenantTx } from '#src/database/tenant.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import type { User } from '#src/domain/users/users.ts';
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
  /** Where the request comes from, where the caller is a browser. */
  readonly browser: { ip: string; user_agent: string } | undefined;
  /** The session that the browser's cookie named, and who was signed in there. */
  session?: { accountId: string | undefined } | undefined;
  /** The sign-in that this browser comes back with, and the session that it began in. */
  signIn?: { uid: string; accountId: string } | undefined;
  /** The identifier that a request at the same time has given that session. */
  renewed?: string | undefined;
  /** Rows read ahead of the library's own read, by what it will ask with. */
  readonly ahead: Map<string, StoredRow>;
  /** The user of the row that was presented. */
  user?: User | undefined;
  /** Keys of rows that this request has locked and nobody had used up. */
  readonly held: Set<string>;
  open?: Promise<OpenTransaction>;
  /** Writes that wait for the next read or the commit, to leave in its flight. */
  readonly unsent: Statement[];
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

/** The tenant whose people the browser of this request is served for, when there is one. */
export function browserTenantId(): string | undefined {
  return storage.getStore()?.tenant?.tenant_id;
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
  {
    lock,
    client_ip,
    browser,
  }: { lock: boolean; client_ip?: string | undefined; browser?: RequestStore['browser'] },
  work: (store: RequestStore) => Promise<{ result: T; keep: boolean }>,
): Promise<T> {
  const store: RequestStore = {
    db,
    lock,
    client_ip,
    browser,
    ahead: new Map(),
    held: new Set(),
    unsent: [],
    wrote: false,
  };
  let outcome: { result: T; keep: boolean } | undefined;
  try {
    outcome = await storage.run(store, () => work(store));
  } finally {
    if (!outcome?.keep) {
      const open = await store.open?.catch(() => undefined);
      await open?.rollback().catch(() => {});
    }
  }
  if (outcome.keep && (store.open || store.wrote)) {
    const committed = openFor(store).then((open) => open.commit());
    if (store.wrote) {
      await committed;
    } else {
      committed.catch(() => {});
    }
  }
  return outcome.result;
}

/** The request's transaction, with everything sent that waited. */
async function openFor(store: RequestStore): Promise<OpenTransaction> {
  const { db, tenant_id } = store;
  store.open ??= openTransaction(db.pool, db.prepared, { tenant_id, within: requestMs });
  const open = await store.open;
  if (store.tenant_id !== undefined) {
    open.setTenant(store.tenant_id);
  }
  for (const statement of store.unsent.splice(0)) {
    void open.run(statement);
  }
  return open;
}

/** The request's transaction for domain functions. Its tenant must be known. */
export async function requestTx(): Promise<TenantTx> {
  return (await openFor(requestStore())).tx();
}

/**
 * Reads by what a bearer presents, with a statement that sets its tenant itself. The first row fixes the tenant of the request.
 * Where nothing is locked and nothing was opened, the statement is a transaction by itself.
 */
export async function readPresented<Row extends { tenant_id: string } & pg.QueryResultRow>(
  statement: Statement,
): Promise<Row[]> {
  const store = requestStore();
  const { db, lock } = store;
  return noteFailure(async () => {
    const alone = !lock && !store.open && !store.wrote;
    const { rows } = await (alone
      ? runStatement<Row>(db.pool, statement, db.prepared, requestMs)
      : (await openFor(store)).run<Row>(statement));
    if (rows[0]) {
      store.tenant_id ??= rows[0].tenant_id;
    }
    return rows;
  });
}

/** Runs a statement under the tenant of the request and waits for its answer. */
export async function runInTenant<Row extends pg.QueryResultRow>(
  statement: Statement,
): Promise<pg.QueryResult<Row>> {
  const store = requestStore();
  return noteFailure(async () => (await openFor(store)).run<Row>(statement));
}

/** Writes without waiting for the answer: the statement travels with the next read or the commit, which reports its failure. */
export function sendInTenant(statement: Statement): void {
  const store = requestStore();
  store.wrote = true;
  store.unsent.push(statement);
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
