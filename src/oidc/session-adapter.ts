import type Provider from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { isTenantId as isUuid } from '#src/database/tenant.ts';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import { type SessionPolicy, sessionEnds, sessionPolicy } from '#src/domain/sessions/session-policy.ts';
import { makeRoomForSession } from '#src/domain/sessions/sessions.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { readStoredUser, type StoredUser } from '#src/domain/users/users.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import {
  noteFailure,
  requestStore,
  requestTx,
  runInTenant,
  sendInTenant,
  setRequestTenant,
} from './request-store.ts';
import { takeAhead } from './stored-objects.ts';

export interface SessionAdapterDependencies {
  cipher: ProtocolCipher;
  findTenant: Catalogue['findTenant'];
  now(): Date;
}

interface SessionRow {
  tenant_id: string;
  key: Buffer;
  sealed_payload: Buffer;
  last_activity_at: Date;
}

const presentSession = 'select * from present_session($1, $2)';
const selectByUid = `
  select tenant_id, key, sealed_payload, last_activity_at
  from sessions
  where uid_key = $1 and expires_at > now() and ends_at > now()`;

/** One row per session whatever its identifier is by now; a session never changes its user. */
const upsert = `
  insert into sessions (
    uid_key, key, user_id, sealed_payload, authenticated_at, expires_at, ends_at, ip, user_agent, amr, acr
  )
  values (
    $1, $2, (select id from users where id = $3), $4, to_timestamp($5), now() + make_interval(secs => $6),
    coalesce(to_timestamp($7), now() + make_interval(secs => $6)), $8, $9, $10, $11
  )
  on conflict (tenant_id, uid_key) do update
  set key = excluded.key, user_id = excluded.user_id, sealed_payload = excluded.sealed_payload,
    authenticated_at = excluded.authenticated_at, last_activity_at = now(), expires_at = excluded.expires_at,
    ends_at = excluded.ends_at, ip = excluded.ip, user_agent = excluded.user_agent, amr = excluded.amr,
    acr = excluded.acr
  where sessions.user_id is null or sessions.user_id = excluded.user_id`;

const longestUserAgent = 500;

/** The library's sessions, in `sessions`. What it reads is locked wherever it may write it again. */
export function makeSessionAdapter({ cipher, findTenant, now }: SessionAdapterDependencies): Adapter {
  const policyOf = async (): Promise<SessionPolicy> => {
    const { tenant, tenant_id } = requestStore();
    return sessionPolicy((tenant ?? (await findTenant(tenant_id!)))?.settings ?? {});
  };
  /** What is sealed, unless the session is over by the settings of today. */
  const open = async (row: SessionRow): Promise<AdapterPayload | undefined> => {
    const payload = cipher.open(row.sealed_payload, { ...row, table: 'sessions' }) as AdapterPayload;
    if (payload.accountId === undefined) {
      return payload;
    }
    const times = {
      authenticated_at: new Date(payload.loginTs! * 1000),
      last_activity_at: row.last_activity_at,
    };
    return sessionEnds(times, await policyOf()).expires_at > now() ? payload : undefined;
  };

  return {
    async upsert(id, payload, expiresIn) {
      const { accountId, loginTs, state, uid } = payload;
      if (!accountId && !state) {
        // Nobody is signed in, and nothing is asked of the session: there is nothing to find again.
        return;
      }
      enterPlatform();
      const { browser, session, tenant_id } = requestStore();
      const policy = await policyOf();
      const user_id = accountId !== undefined && isUuid(accountId) ? accountId : null;
      if (user_id !== null && session?.accountId !== user_id) {
        await noteFailure(async () =>
          makeRoomForSession(await requestTx(), user_id, { limit: policy.limit, now: now() }),
        );
      }
      const key = cipher.key('Session', id);
      sendInTenant({
        text: upsert,
        values: [
          cipher.key('uid', uid!),
          key,
          user_id,
          cipher.seal(payload, { tenant_id: tenant_id!, key, table: 'sessions' }),
          loginTs ?? null,
          expiresIn,
          loginTs === undefined ? null : loginTs + policy.absolute,
          browser?.ip ?? null,
          browser?.user_agent.slice(0, longestUserAgent) ?? null,
          payload.amr ?? null,
          payload.acr ?? null,
        ],
      });
    },
    async find(id) {
      enterPlatform();
      const store = requestStore();
      const { rows } = await runInTenant<SessionRow & { account: StoredUser | null }>({
        text: presentSession,
        values: [cipher.key('Session', id), store.lock],
      });
      const [row] = rows;
      if (row?.account) {
        store.user = readStoredUser(row.account);
      }
      const payload = row ? await open(row) : await findRenewed();
      store.session = payload && { accountId: payload.accountId };
      return payload;
    },
    async findByUid(uid) {
      const uid_key = cipher.key('uid', uid);
      const row =
        (takeAhead(uid_key) as SessionRow | undefined) ??
        (await runInTenant<SessionRow>({ text: selectByUid, values: [uid_key] })).rows[0];
      return row && open(row);
    },
    // The library destroys the former identifier of a session that it renews, whose row then gets the new one. What ends a
    // session it says by an event: `endDestroyedSessions`.
    async destroy() {},
    findByUserCode: refuse,
    consume: refuse,
    revokeByGrantId: refuse,
  };

  /**
   * Of two tabs that sign in at once in the session of both, the second comes with the identifier that the first has just
   * renewed. It gets the session as the first has left it, when it brings a fresh sign-in of the same user and began in it.
   */
  async function findRenewed(): Promise<AdapterPayload | undefined> {
    const store = requestStore();
    if (!store.signIn) {
      return undefined;
    }
    const { accountId, uid } = store.signIn;
    const { rows } = await runInTenant<SessionRow>({
      text: `${selectByUid} for update`,
      values: [cipher.key('uid', uid)],
    });
    const payload = rows[0] && (await open(rows[0]));
    if (payload?.accountId !== accountId) {
      return undefined;
    }
    store.renewed = payload!.jti;
    return payload;
  }
}

const refuse = async (): Promise<never> => {
  throw new Error('the library does not ask this of a session');
};

/** Where no tenant was found nobody is signed in: what a sign-out keeps until its confirmation waits at the platform. */
function enterPlatform() {
  if (requestStore().tenant_id === undefined) {
    setRequestTenant(platformTenantId);
  }
}

/** A sign-out ends the session by its uid, whatever its identifier is by now. What is bound to it finds no session any more. */
export function endDestroyedSessions(provider: Provider, cipher: ProtocolCipher): void {
  provider.on('session.destroyed', ({ uid }) => {
    sendInTenant({ text: 'delete from sessions where uid_key = $1', values: [cipher.key('uid', uid)] });
  });
}

/**
 * Two tabs that sign in at once get the same identifier, so that the browser's cookie is right whichever answer comes last.
 * It is new to the browser that the request came from.
 */
export function keepRenewedIdentifier(provider: Provider): void {
  provider.on('interaction.ended', ({ oidc }) => {
    const { renewed } = requestStore();
    if (renewed !== undefined && oidc.session) {
      oidc.session.jti = renewed;
    }
  });
}
