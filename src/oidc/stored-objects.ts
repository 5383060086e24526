import { openTransaction, requestMs, withTenant } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import { readByKey, requestStore } from './request-store.ts';

/** Reads of the protocol store that come before the library's own. */
export interface StoredObjects {
  /** Reads the row that the library will ask for next, and with it learns the tenant of the request. */
  prefetch(model: string, id: string): Promise<void>;
  /** The parameters of a pushed request; once it has moved to its tenant, `tenant` is that one. */
  readPushedRequest(request_uri: string): Promise<{ params: Record<string, string> } | undefined>;
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

const columns = 'tenant_id, key, model, sealed_payload, consumed_at';
export const selectByKey = `select ${columns} from protocol_store where key = $1 and expires_at > now()`;
export const selectByUid = `select ${columns} from protocol_store where uid_key = $1 and expires_at > now()`;

const pushedPrefix = 'urn:ietf:params:oauth:request_uri:';

/** What a grant gave out and its bearer uses up: a reuse of one takes all of the grant with it. */
const ofFamily = new Set(['AuthorizationCode', 'RefreshToken']);

/**
 * Taken before any row of a grant is, so that a reuse, which ends them all, and a use of another of them wait for each other
 * instead of each for a row that the other holds.
 */
export const lockFamily =
  "select pg_advisory_xact_lock(hashtextextended('tessera grant ' || encode($1::bytea, 'hex'), 0))";
const lockFamilyOf =
  "select pg_advisory_xact_lock(hashtextextended('tessera grant ' || encode(grant_key, 'hex'), 0)) from protocol_store where key = $1 and grant_key is not null";

/** Reads a row by what its bearer presented, locked where this request may use it up. */
export async function readStoredRow(model: string, key: Buffer): Promise<StoredRow | undefined> {
  const store = requestStore();
  const prefetched = store.prefetched;
  if (prefetched?.key.equals(key)) {
    delete store.prefetched;
    return prefetched;
  }
  const read = { text: store.lock ? `${selectByKey} for update` : selectByKey, values: [key] };
  return readByKey<StoredRow>(
    key,
    store.lock && ofFamily.has(model) ? [{ text: lockFamilyOf, values: [key] }, read] : [read],
  );
}

export function makeStoredObjects(cipher: ProtocolCipher): StoredObjects {
  const pushedKey = (request_uri: string) =>
    cipher.key('PushedAuthorizationRequest', request_uri.slice(pushedPrefix.length));

  return {
    async prefetch(model, id) {
      const row = await readStoredRow(model, cipher.key(model, id));
      if (row) {
        requestStore().prefetched = row;
      }
    },
    async readPushedRequest(request_uri) {
      const key = pushedKey(request_uri);
      const { db } = requestStore();
      const open = await openTransaction(db.aux, db.prepared, { key, within: requestMs });
      const found = open.run<StoredRow>({ text: selectByKey, values: [key] });
      await open.commit();
      const row = (await found).rows[0];
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
