import type { TenantTx } from '#src/database/tenant.ts';
import { emptyUser } from './erase.ts';

/**
 * What each status may become; the trigger `follow_life_cycle` holds the same against every other way in. Invited: has no
 * password yet. Active: may sign in. Disabled: may not. Compromised: may do nothing but choose another password. Erased: a row
 * without a person, for good.
 */
const moves = {
  invited: ['active', 'disabled', 'compromised', 'erased'],
  active: ['disabled', 'compromised', 'erased'],
  disabled: ['active', 'compromised', 'erased'],
  compromised: ['active', 'disabled', 'erased'],
  erased: [],
} as const;

export type UserStatus = keyof typeof moves;

/** Every status, in the order of a life. */
export const userStatuses = Object.keys(moves) as UserStatus[];

/** What decides about the next status of a user. */
export interface LifeState {
  status: UserStatus;
  /** Others know the password: nobody is active with it again. */
  password_compromised: boolean;
}

/** Whether a user in this state may become `to`, or is it already. `newPassword`: together with another password. */
export function mayBecome(
  { status, password_compromised }: LifeState,
  to: UserStatus,
  { newPassword = false }: { newPassword?: boolean } = {},
): boolean {
  if (status === to) {
    return true;
  }
  const reachable: readonly UserStatus[] = moves[status];
  return reachable.includes(to) && (to !== 'active' || !password_compromised || newPassword);
}

export type StatusChange = { ok: true } | { ok: false; reason: 'not_found' | 'not_allowed' };

/**
 * Moves the user to another status; to `erased` it empties the row (`eraseUser`). Every move ends all sessions and tokens of
 * before. `not_allowed` when the life of a user does not go that way, or when it would make others' knowledge of the password
 * useful again. A status that the user has already is fine.
 */
export async function changeUserStatus(tx: TenantTx, id: string, to: UserStatus): Promise<StatusChange> {
  const user = await tx
    .selectFrom('users')
    .select(['status', 'password_compromised'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  if (!user) {
    return { ok: false, reason: 'not_found' };
  }
  if (!mayBecome(user, to)) {
    return { ok: false, reason: 'not_allowed' };
  }
  if (to === user.status) {
    return { ok: true };
  }
  if (to === 'erased') {
    await emptyUser(tx, id);
  } else {
    await tx.updateTable('users').set({ status: to, updated_at: new Date() }).where('id', '=', id).execute();
  }
  return { ok: true };
}

/** Removes all that is personal and leaves a row that names nobody. `not_found` alone is refused; twice is fine. */
export function eraseUser(tx: TenantTx, id: string): Promise<StatusChange> {
  return changeUserStatus(tx, id, 'erased');
}

/** What a file may ask for of a user who is or is not there; erasure is a step of its own. */
export type WantedStatus = Exclude<UserStatus, 'erased'>;

/**
 * The status that a file leads to. Files are older than what has happened since: `invited` is where a user begins and takes
 * nobody back there, and `active` makes nobody active whose password others know. A user without a status is invited until there
 * is a password.
 */
export function settleStatus(
  stored: LifeState | undefined,
  { status, newPassword }: { status: WantedStatus | undefined; newPassword: boolean },
): WantedStatus {
  if (stored === undefined) {
    return status ?? (newPassword ? 'active' : 'invited');
  }
  const kept = stored.status === 'invited' && newPassword ? 'active' : (stored.status as WantedStatus);
  const wanted = status === undefined || status === 'invited' ? kept : status;
  return mayBecome(stored, wanted, { newPassword }) ? wanted : 'compromised';
}
