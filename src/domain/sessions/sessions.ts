import { sql } from 'kysely';
import type { TenantTx } from '#src/database/tenant.ts';
import { findTenant } from '#src/domain/tenants/tenants.ts';
import { sessionEnds, sessionPolicy } from './session-policy.ts';

/** A browser's session as its user may see it. Nothing here opens it. */
export interface SessionSummary {
  id: string;
  created_at: Date;
  authenticated_at: Date;
  last_activity_at: Date;
  /** The end if it is not used any more. */
  expires_at: Date;
  /** The end in any case. */
  ends_at: Date;
  /** Where it was used last, as the request said. */
  ip: string | null;
  user_agent: string | null;
  /** What the user calls it. */
  device_label: string | null;
  /** How the user signed in (RFC 8176), and what that is worth. */
  amr: string[] | null;
  acr: string | null;
}

/** The sessions of the user that are alive by the tenant's settings of today, the one used last first. */
export async function listSessions(tx: TenantTx, user_id: string, now: Date): Promise<SessionSummary[]> {
  const rows = await tx
    .selectFrom('sessions')
    .select(['id', 'created_at', 'authenticated_at', 'last_activity_at', 'expires_at', 'ends_at'])
    .select(['ip', 'user_agent', 'device_label', 'amr', 'acr'])
    .where('user_id', '=', user_id)
    .where('authenticated_at', 'is not', null)
    .where('expires_at', '>', now)
    .where('ends_at', '>', now)
    .orderBy('last_activity_at', 'desc')
    .orderBy('id')
    .$narrowType<{ authenticated_at: Date }>()
    .execute();
  const policy = sessionPolicy((await findTenant(tx))?.settings ?? {});
  return rows
    .map((row) => {
      const { expires_at, ends_at } = sessionEnds(row, policy);
      return {
        ...row,
        expires_at: earlier(row.expires_at, expires_at),
        ends_at: earlier(row.ends_at, ends_at),
      };
    })
    .filter(({ expires_at }) => expires_at > now);
}

const earlier = (one: Date, other: Date) => (one < other ? one : other);

/** The id in lists of the session that tokens name so; undefined when there is none. */
export async function findSessionId(tx: TenantTx, uid_key: Buffer): Promise<string | undefined> {
  const row = await tx.selectFrom('sessions').select('id').where('uid_key', '=', uid_key).executeTakeFirst();
  return row?.id;
}

/**
 * Ends the session with every code, opaque access token and refresh token that was given out under it, those with
 * offline_access too, and what is being given out at this moment; false when the user has no such session. A JWT lives on to its
 * end, five minutes at most. Refuses nothing to a caller that holds a session's row, but may then wait for one that waits for it.
 */
export async function endSession(tx: TenantTx, user_id: string, id: string): Promise<boolean> {
  return (await end(tx, user_id, { only_id: id })) > 0;
}

/** Ends all sessions of the user but one, as `endSession` does, with what outlived a sign-out; gives how many. */
export async function endOtherSessions(tx: TenantTx, user_id: string, keep_id: string): Promise<number> {
  return end(tx, user_id, { kept_id: keep_id });
}

/** Ends all sessions of the user, as `endSession` does, with what outlived a sign-out; gives how many. */
export async function endAllSessions(tx: TenantTx, user_id: string): Promise<number> {
  return end(tx, user_id, {});
}

async function end(
  tx: TenantTx,
  user_id: string,
  { only_id = null, kept_id = null }: { only_id?: string | null; kept_id?: string | null },
): Promise<number> {
  const { rows } = await sql<{ ended: number }>`
    select end_sessions_of(current_tenant_id(), ${user_id}, ${only_id}, ${kept_id}) as ended`.execute(tx);
  return rows[0]!.ended;
}

/**
 * Makes room for one more session of the user: of those alive the longest inactive end until fewer than `limit` are left.
 * Sign-ins of the same user wait here for one another until each has committed.
 */
export async function makeRoomForSession(
  tx: TenantTx,
  user_id: string,
  { limit, now }: { limit: number; now: Date },
): Promise<void> {
  await sql`select pg_advisory_xact_lock(sessions_lock(${user_id}))`.execute(tx);
  const surplus = await tx
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', user_id)
    .where('expires_at', '>', now)
    .where('ends_at', '>', now)
    .orderBy('last_activity_at', 'desc')
    .orderBy('created_at', 'desc')
    .offset(limit - 1)
    .execute();
  for (const { id } of surplus) {
    await endSession(tx, user_id, id);
  }
}

/** Gives the session a name of the user's choice (1 to 100 characters), or none; false when the user has no such session. */
export async function labelSession(
  tx: TenantTx,
  user_id: string,
  id: string,
  label: string | null,
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sessions')
    .set({ device_label: label })
    .where('user_id', '=', user_id)
    .where('id', '=', id)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
