import { runStatement } from '#src/database/connection.ts';
import { requestMs, withTenant } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { readStoredUser, type StoredUser } from '#src/domain/users/users.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import { readPresented, requestStore } from './request-store.ts';

/** Reads of the protocol store that come before the library's own. */
export interface StoredObjects {
  /** Reads the row that the library will ask for next, and with it learns the tenant of the request. */
  prefetch(model: string, id: string): Promise<void>;
  /** The parameters of a pushed request; once it has moved to its tenant, `tenant` is that one. */
  readPushedRequest(request_uri: string): Promise<{ params: Record<string, string> } | undefined>;
  /** The sign-in that an interaction has ended with, when it began in a session of somebody. */
  readSignIn(uid: string): { uid: string; accountId: string } | undefined;
  /** Moves it to the tenant, once that is known. Of two that move it at once, one finds it. */
  movePushedRequest(request_uri: string, tenant_id: string): Promise<void>;
}

export interface StoredRow {
  tenant_id: string;
  key: Buffer;
  model: string;
  sealed_payload: Buffer;
  consumed_at: Date | null;
}

type PresentedRow = StoredRow & { uid_key: Buffer | null; account: StoredUser | null };

const presentRow = 'select * from present_protocol_row($1, $2, $3)';

const pushedPrefix = 'urn:ietf:params:oauth:request_uri:';

/**
 * Taken before any row of a grant is, so that a reuse, which ends them all, and a use of another of them wait for each other
 * instead of each for a row that the other holds.
 */
export const lockFamily =
  "select pg_advisory_xact_lock(hashtextextended('tessera grant ' || encode($1::bytea, 'hex'), 0))";

/**
 * Reads a row by what its bearer presented, locked where this request may use it up. Its grant, its session and its user come
 * with it, for the library asks for them next.
 */
export async function readStoredRow(key: Buffer): Promise<StoredRow | undefined> {
  const store = requestStore();
  const { ahead, held, lock, tenant_id } = store;
  const known = takeAhead(key);
  if (known) {
    return known;
  }
  const rows = await readPresented<PresentedRow>({
    text: presentRow,
    values: [key, tenant_id ?? null, lock],
  });
  const row = rows.find((one) => one.key.equals(key));
  if (row && lock && row.consumed_at === null) {
    held.add(nameOf(key));
  }
  if (row?.account) {
    store.user = readStoredUser(row.account);
  }
  for (const other of rows) {
    if (other !== row) {
      ahead.set(nameOf(other.uid_key ?? other.key), other);
    }
  }
  return row;
}

/** A row that came with another, once: what is asked for again is read again. */
export function takeAhead(key: Buffer): StoredRow | undefined {
  const { ahead } = requestStore();
  const name = nameOf(key);
  const row = ahead.get(name);
  ahead.delete(name);
  return row;
}

/** Whether this request holds the row of this key locked and unused, so that using it up cannot fail. Answers once. */
export function isHeld(key: Buffer): boolean {
  return requestStore().held.delete(nameOf(key));
}

const nameOf = (key: Buffer) => key.toString('base64');

export function makeStoredObjects(cipher: ProtocolCipher): StoredObjects {
  const pushedKey = (request_uri: string) =>
    cipher.key('PushedAuthorizationRequest', request_uri.slice(pushedPrefix.length));

  return {
    async prefetch(model, id) {
      const key = cipher.key(model, id);
      const row = await readStoredRow(key);
      if (row) {
        requestStore().ahead.set(nameOf(key), row);
      }
    },
    readSignIn(uid) {
      const key = cipher.key('Interaction', uid);
      const row = requestStore().ahead.get(nameOf(key));
      const { result, session } = (row ? cipher.open(row.sealed_payload, row) : {}) as {
        result?: { login?: { accountId: string } };
        session?: { uid?: string };
      };
      return result?.login && session?.uid
        ? { uid: session.uid, accountId: result.login.accountId }
        : undefined;
    },
    async readPushedRequest(request_uri) {
      const key = pushedKey(request_uri);
      const { db } = requestStore();
      const { rows } = await runStatement<PresentedRow>(
        db.aux,
        { text: presentRow, values: [key, null, false] },
        db.prepared,
        requestMs,
      );
      const row = rows.find((one) => one.key.equals(key));
      if (!row) {
        return undefined;
      }
      const params = pushedParams(cipher.open(row.sealed_payload, row));
      return { params: row.tenant_id === platformTenantId ? params : { ...params, tenant: row.tenant_id } };
    },
    async movePushedRequest(request_uri, tenant_id) {
      const { db } = requestStore();
      const key = pushedKey(request_uri);
      const row = await withTenant(
        db,
        platformTenantId,
        (tx) => tx.deleteFrom('protocol_store').where('key', '=', key).returningAll().executeTakeFirst(),
        { aux: true, within: requestMs },
      );
      if (row) {
        const sealed_payload = cipher.seal(cipher.open(row.sealed_payload, row), { tenant_id, key });
        await withTenant(
          db,
          tenant_id,
          (tx) =>
            tx
              .insertInto('protocol_store')
              .values({ ...row, tenant_id, sealed_payload })
              .execute(),
          { aux: true, within: requestMs },
        );
      }
    },
  };
}

/** The library keeps the pushed parameters as an unsecured JWT. */
function pushedParams(payload: Record<string, unknown>): Record<string, string> {
  const claims = String(payload['request'] ?? '').split('.')[1] ?? '';
  const params: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8') || '{}');
  return Object.fromEntries(
    Object.entries(params as Record<string, unknown>).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}
