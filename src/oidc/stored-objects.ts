import { withTenant } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import { readByKey, requestStore } from './request-store.ts';

/** Reads of the protocol store that come before the library's own. */
export interface StoredObjects {
  /** Reads the row that the library will ask for next, and with it learns the tenant of the request. */
  prefetch(model: string, id: string): Promise<void>;
  /** The parameters of a pushed request that still waits at the platform for its tenant. */
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

/** Reads a row by what its bearer presented, locked where this request may use it up. */
export async function readStoredRow(key: Buffer): Promise<StoredRow | undefined> {
  const store = requestStore();
  const prefetched = store.prefetched;
  if (prefetched?.key.equals(key)) {
    delete store.prefetched;
    return prefetched;
  }
  return readByKey<StoredRow>(key, {
    text: store.lock ? `${selectByKey} for update` : selectByKey,
    values: [key],
  });
}

export function makeStoredObjects(cipher: ProtocolCipher): StoredObjects {
  const pushedKey = (request_uri: string) =>
    cipher.key('PushedAuthorizationRequest', request_uri.slice(pushedPrefix.length));

  return {
    async prefetch(model, id) {
      const row = await readStoredRow(cipher.key(model, id));
      if (row) {
        requestStore().prefetched = row;
      }
    },
    async readPushedRequest(request_uri) {
      const key = pushedKey(request_uri);
      const row = await withTenant(
        requestStore().db,
        platformTenantId,
        (tx) =>
          tx
            .selectFrom('protocol_store')
            .select(['tenant_id', 'key', 'sealed_payload'])
            .where('key', '=', key)
            .where('expires_at', '>', new Date())
            .executeTakeFirst(),
        { aux: true },
      );
      return row && { params: pushedParams(cipher.open(row.sealed_payload, row)) };
    },
    async movePushedRequest(request_uri, tenant_id) {
      const { db } = requestStore();
      const key = pushedKey(request_uri);
      const row = await withTenant(
        db,
        platformTenantId,
        (tx) => tx.deleteFrom('protocol_store').where('key', '=', key).returningAll().executeTakeFirst(),
        { aux: true },
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
          { aux: true },
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
