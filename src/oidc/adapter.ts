import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Database } from '#src/database/pool.ts';
import { isTenantId as isUuid, requestMs, withTenant } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import { noteFailure, requestStore, runInTenant, sendInTenant, setRequestTenant } from './request-store.ts';
import { makeSessionAdapter, type SessionAdapterDependencies } from './session-adapter.ts';
import { isHeld, lockFamily, readStoredRow, type StoredRow, takeAhead } from './stored-objects.ts';

export interface AdapterDependencies extends SessionAdapterDependencies {
  db: Database;
  findClient(client_id: string): Promise<AdapterPayload | undefined>;
}

/** Longer than any proof or assertion is accepted: five minutes from an iat up to five minutes ahead, by a clock of whole seconds. */
const replayWindowSeconds = 660;

const upsert = `
  insert into protocol_store (key, model, grant_key, session_key, user_id, sealed_payload, expires_at)
  values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
  on conflict (tenant_id, key) do update
  set grant_key = excluded.grant_key, session_key = excluded.session_key, user_id = excluded.user_id,
    sealed_payload = excluded.sealed_payload, expires_at = excluded.expires_at`;

/**
 * The library's storage contract: one adapter per model over `protocol_store`. Sessions have a table of their own; clients come
 * from the configuration.
 */
export function makeAdapter(dependencies: AdapterDependencies): AdapterFactory {
  const { cipher, db, findClient } = dependencies;
  return (model) => {
    if (model === 'Session') {
      return makeSessionAdapter(dependencies);
    }
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
  const openRow = (row: StoredRow, jti: string): AdapterPayload => ({
    ...cipher.open(row.sealed_payload, row),
    jti,
    ...(row.consumed_at ? { consumed: Math.floor(row.consumed_at.getTime() / 1000) } : {}),
  });

  return {
    async upsert(id, payload, expiresIn) {
      const store = requestStore();
      // A pushed request of a shared client comes before its tenant is known: it waits at the platform.
      if (store.tenant_id === undefined) {
        setRequestTenant(platformTenantId);
      }
      const tenant_id = store.tenant_id!;
      const key = cipher.key(model, id);
      // The bearer brings it back.
      const { jti: _, ...rest } = payload;
      const keyOf = (kind: string, value: string | undefined) =>
        value === undefined ? null : cipher.key(kind, value);
      takeAhead(key);
      sendInTenant({
        text: upsert,
        values: [
          key,
          model,
          keyOf('Grant', payload.grantId),
          keyOf('uid', payload.sessionUid),
          payload.accountId !== undefined && isUuid(payload.accountId) ? payload.accountId : null,
          cipher.seal(rest, { tenant_id, key }),
          expiresIn,
        ],
      });
    },
    async find(id) {
      const row = await readStoredRow(cipher.key(model, id));
      return row && openRow(row, id);
    },
    async findByUid() {
      throw new Error('only a session has a uid');
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
  return { ...refusingAdapter('Client'), find: (client_id) => noteFailure(() => findClient(client_id)) };
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
