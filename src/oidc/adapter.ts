import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Database } from '#src/database/pool.ts';
import { isTenantId as isUuid, requestMs, withTenant } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import { noteFailure, requestStore, runInTenant, sendInTenant, setRequestTenant } from './request-store.ts';
import {
  isHeld,
  lockFamily,
  readStoredRow,
  type StoredRow,
  selectByUid,
  takeAhead,
} from './stored-objects.ts';

export interface AdapterDependencies {
  cipher: ProtocolCipher;
  db: Database;
  findClient(client_id: string): Promise<AdapterPayload | undefined>;
}

/** Longer than any proof or assertion is accepted: five minutes from an iat up to five minutes ahead, by a clock of whole seconds. */
const replayWindowSeconds = 660;

const end = 'now() + make_interval(secs => $8)';
/**
 * A session is rewritten at every use. Its end as the table knows it serves the purge alone, for the library reads the one in
 * the payload; rounded up it mostly stays the same, and the new version of the row stays out of the indexes.
 */
const sessionEnd = `date_bin('5 min', ${end}, 'epoch') + interval '5 min'`;

const upsertStatement = (model: string) => `
  insert into protocol_store (key, model, grant_key, uid_key, session_key, user_id, sealed_payload, expires_at)
  values ($1, $2, $3, $4, $5, $6, $7, ${model === 'Session' ? sessionEnd : end})
  on conflict (tenant_id, key) do update
  set grant_key = excluded.grant_key, uid_key = excluded.uid_key, session_key = excluded.session_key,
    user_id = excluded.user_id, sealed_payload = excluded.sealed_payload, expires_at = excluded.expires_at`;

/** The library's storage contract: one adapter per model over `protocol_store`; clients come from the configuration instead. */
export function makeAdapter({ cipher, db, findClient }: AdapterDependencies): AdapterFactory {
  return (model) => {
    if (model === 'Client') {
      return clientAdapter(findClient);
    }
    if (model === 'ReplayDetection') {
      return replayAdapter(db, cipher);
    }
    return modelAdapter(model, cipher);
  };
}

/** Each identifier is named by its HMAC, each payload sealed; single use is one conditional update. */
function modelAdapter(model: string, cipher: ProtocolCipher): Adapter {
  const upsert = upsertStatement(model);
  const openRow = (row: StoredRow, jti?: string): AdapterPayload => ({
    ...cipher.open(row.sealed_payload, row),
    ...(jti === undefined ? {} : { jti }),
    ...(row.consumed_at ? { consumed: Math.floor(row.consumed_at.getTime() / 1000) } : {}),
  });

  return {
    async upsert(id, payload, expiresIn) {
      if (model === 'Session' && !payload.accountId && !payload.state) {
        // Nobody is signed in, and nothing is asked of the session: there is nothing to find again.
        return;
      }
      const store = requestStore();
      // A pushed request of a shared client comes before its tenant is known: it waits at the platform.
      if (store.tenant_id === undefined) {
        setRequestTenant(platformTenantId);
      }
      const tenant_id = store.tenant_id!;
      const key = cipher.key(model, id);
      // A session is found by its uid too, so its identifier stays inside the seal; elsewhere the bearer brings it back.
      const { jti: _, ...rest } = payload;
      const keyOf = (kind: string, value: string | undefined) =>
        value === undefined ? null : cipher.key(kind, value);
      const uid_key = keyOf('uid', payload.uid);
      takeAhead(uid_key ?? key);
      sendInTenant({
        text: upsert,
        values: [
          key,
          model,
          keyOf('Grant', payload.grantId),
          uid_key,
          keyOf('uid', payload.sessionUid),
          payload.accountId !== undefined && isUuid(payload.accountId) ? payload.accountId : null,
          cipher.seal(payload.uid === undefined ? rest : payload, { tenant_id, key }),
          expiresIn,
        ],
      });
    },
    async find(id) {
      const row = await readStoredRow(cipher.key(model, id));
      return row && openRow(row, id);
    },
    async findByUid(uid) {
      const uid_key = cipher.key('uid', uid);
      const row =
        takeAhead(uid_key) ??
        (await runInTenant<StoredRow>({ text: selectByUid, values: [uid_key] })).rows[0];
      return row && openRow(row);
    },
    async findByUserCode() {
      throw new Error('the device flow is off');
    },
    async consume(id) {
      const key = cipher.key(model, id);
      const use = {
        text: 'update protocol_store set consumed_at = now() where key = $1 and consumed_at is null',
        values: [key],
      };
      if (isHeld(key)) {
        sendInTenant(use);
        return;
      }
      const { rowCount } = await runInTenant(use);
      requestStore().wrote = true;
      if (rowCount !== 1) {
        throw model === 'PushedAuthorizationRequest'
          ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
          : new errors.InvalidGrant(`${model} was already used`);
      }
    },
    async destroy(id) {
      const key = cipher.key(model, id);
      takeAhead(key);
      sendInTenant({ text: 'delete from protocol_store where key = $1', values: [key] });
    },
    async revokeByGrantId(grantId) {
      requestStore().revoked = true;
      const grant_key = cipher.key('Grant', grantId);
      sendInTenant({ text: lockFamily, values: [grant_key] });
      sendInTenant({
        text: 'delete from protocol_store where model = $1 and grant_key = $2',
        values: [model, grant_key],
      });
    },
  };
}

/**
 * Marks of used proofs and assertions, in the platform's rows: one ledger whatever tenant the request turns out to be of.
 * The library asks `find` and then `upsert`; `find` inserts the mark itself, so of twenty at once one finds nothing.
 */
function replayAdapter(db: Database, cipher: ProtocolCipher): Adapter {
  return {
    ...refusingAdapter('ReplayDetection'),
    async find(id) {
      const key = cipher.key('ReplayDetection', id);
      const exp = Math.floor(Date.now() / 1000) + replayWindowSeconds;
      const sealed = cipher.seal({}, { tenant_id: platformTenantId, key });
      const mark = () =>
        withTenant(
          db,
          platformTenantId,
          (tx) =>
            tx
              .insertInto('protocol_store')
              .values({
                key,
                model: 'ReplayDetection',
                sealed_payload: sealed,
                expires_at: new Date(exp * 1000),
              })
              .onConflict((conflict) =>
                conflict
                  .columns(['tenant_id', 'key'])
                  .doUpdateSet({ expires_at: new Date(exp * 1000) })
                  .where('protocol_store.expires_at', '<=', new Date()),
              )
              .executeTakeFirst(),
          { aux: true, within: requestMs },
        );
      const taken = await noteFailure(mark);
      return taken.numInsertedOrUpdatedRows === 1n ? undefined : { jti: id, exp };
    },
    // The mark outlives what it guards already.
    async upsert() {},
  };
}

function clientAdapter(findClient: AdapterDependencies['findClient']): Adapter {
  return {
    ...refusingAdapter('Client'),
    async find(client_id) {
      const client = await noteFailure(() => findClient(client_id));
      if (client) {
        requestStore().admit?.(client);
      }
      return client;
    },
  };
}

function refusingAdapter(model: string): Adapter {
  const refuse = async (): Promise<never> => {
    throw new Error(`the library does not write ${model} here`);
  };
  return {
    find: refuse,
    findByUid: refuse,
    findByUserCode: refuse,
    upsert: refuse,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: refuse,
  };
}
