import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { type TenantTx, tenantIdOf } from '#src/database/tenant.ts';

/** A user's browsers that are remembered; of one more, the one that was longest unseen is forgotten. */
export const mostKnownDevices = 10;

const secretForm = /^[A-Za-z0-9_-]{43}$/;

/** Whether the text can be the secret of a device: 32 bytes in base64url. */
export function isDeviceSecret(text: string): boolean {
  return secretForm.test(text);
}

/** What is stored of a device's secret: enough to know it again in this tenant, and of no use to whoever reads it. */
export function hashDeviceSecret(tx: TenantTx, secret: string): Buffer {
  return createHash('sha256')
    .update(`known device\u001f${tenantIdOf(tx)}\u001f${secret}`)
    .digest();
}

/** Whether one of these secrets is of a device of the user with this normalised address, or of nobody when it is none. */
export async function isKnownDevice(
  tx: TenantTx,
  { email, device_secrets }: { email: string | undefined; device_secrets: readonly string[] },
): Promise<boolean> {
  if (email === undefined || device_secrets.length === 0) {
    return false;
  }
  const row = await tx
    .selectFrom('known_devices')
    .innerJoin('users', 'users.id', 'known_devices.user_id')
    .select('known_devices.id')
    .where('users.email', '=', email)
    .where(
      'secret_hash',
      'in',
      device_secrets.map((secret) => hashDeviceSecret(tx, secret)),
    )
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Remembers the browser from which the user has just signed in, and gives its secret. Of the secrets that it showed (`known`) that
 * is one which is known for this user; otherwise a new one, never one that somebody else may have put there.
 */
export async function rememberDevice(
  tx: TenantTx,
  user_id: string,
  { known }: { known: readonly string[] },
  now: Date,
): Promise<string> {
  const shown = known.map((secret) => ({ secret, secret_hash: hashDeviceSecret(tx, secret) }));
  if (shown.length > 0) {
    const seen = await tx
      .updateTable('known_devices')
      .set({ last_seen_at: now })
      .where('user_id', '=', user_id)
      .where(
        'secret_hash',
        'in',
        shown.map(({ secret_hash }) => secret_hash),
      )
      .returning('secret_hash')
      .execute();
    const own = shown.find(({ secret_hash }) => seen.some((row) => row.secret_hash.equals(secret_hash)));
    if (own) {
      return own.secret;
    }
  }
  const secret = randomBytes(32).toString('base64url');
  await tx
    .insertInto('known_devices')
    .values({ user_id, secret_hash: hashDeviceSecret(tx, secret), created_at: now, last_seen_at: now })
    .execute();
  await sql`
    delete from known_devices where id in (
      select id from known_devices
      where user_id = ${user_id}
      order by last_seen_at desc, created_at desc, id
      offset ${mostKnownDevices}
    )`.execute(tx);
  return secret;
}

/** Forgets the user's devices, but for the one with the secret `except`. */
export async function forgetKnownDevices(
  tx: TenantTx,
  user_id: string,
  { except }: { except?: string | undefined } = {},
): Promise<void> {
  let query = tx.deleteFrom('known_devices').where('user_id', '=', user_id);
  if (except !== undefined) {
    query = query.where('secret_hash', '<>', hashDeviceSecret(tx, except));
  }
  await query.execute();
}
