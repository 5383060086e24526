import { withTenant } from '#src/database/tenant.ts';
import type { Fixture } from '#test/support/fixture.ts';

/** A session of bob in each tenant, with something given out under it. */
export const sessionsOf = {
  acme: { id: '00000000-0000-4000-8000-00000000000a', uid_key: Buffer.from('a session of acme') },
  globex: { id: '00000000-0000-4000-8000-00000000000b', uid_key: Buffer.from('a session of globex') },
};

/** Adds them. */
export async function addSessions(fixture: Fixture): Promise<void> {
  for (const tenant of ['acme', 'globex'] as const) {
    const { tenant_id, users } = fixture[tenant];
    const { id, uid_key } = sessionsOf[tenant];
    const key = Buffer.from(`a cookie of ${tenant}`);
    const expires_at = new Date(Date.now() + 60_000);
    const row = { key, user_id: users.bob, sealed_payload: key, expires_at };
    await withTenant(fixture.db, tenant_id, async (tx) => {
      const times = { authenticated_at: new Date(), ends_at: expires_at };
      await tx
        .insertInto('sessions')
        .values({ ...row, ...times, id, uid_key })
        .execute();
      await tx
        .insertInto('protocol_store')
        .values({ ...row, model: 'Test', session_key: uid_key })
        .execute();
    });
  }
}

type Held = { user_id: string; own_user_id: string };
type Call = { args: unknown[]; gives: unknown };

const { id, uid_key } = sessionsOf.globex;

/** How A calls the functions of `domain/sessions` with what it holds of B, and with a user of its own. */
export const sessionCalls: Record<string, (held: Held) => Call[]> = {
  'sessions/sessions.ts endAllSessions': ({ user_id }) => [{ args: [user_id], gives: 0 }],
  'sessions/sessions.ts endOtherSessions': ({ user_id, own_user_id }) => [
    { args: [user_id, id], gives: 0 },
    { args: [own_user_id, id], gives: 1 },
  ],
  'sessions/sessions.ts endSession': ({ user_id, own_user_id }) => [
    { args: [user_id, id], gives: false },
    { args: [own_user_id, id], gives: false },
  ],
  'sessions/sessions.ts findSessionId': () => [{ args: [uid_key], gives: undefined }],
  'sessions/sessions.ts labelSession': ({ user_id }) => [{ args: [user_id, id, 'Of A'], gives: false }],
  'sessions/sessions.ts listSessions': ({ user_id }) => [{ args: [user_id, new Date()], gives: [] }],
  'sessions/sessions.ts makeRoomForSession': ({ user_id }) => [
    { args: [user_id, { limit: 1, now: new Date() }], gives: undefined },
  ],
};
