import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from 'koa';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { isKnownDevice, rememberDevice } from '#src/domain/credentials/known-devices.ts';
import { type PasswordOutcome, verifyUserPassword } from '#src/domain/credentials/verify-user-password.ts';
import type { Refusal } from '#src/domain/limits/limits.ts';
import type { Reservation } from '#src/domain/limits/sign-in.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { deviceCookie } from './device-cookie.ts';
import { noticeOf, occasionOf } from './notices.ts';
import type { PageDependencies } from './pages.ts';

export interface TypedCredentials {
  tenant_id: string;
  email: string;
  password: string;
}

export type PasswordAttempt =
  /** The secret of the device is what the browser holds by then. */
  | (Extract<PasswordOutcome, { ok: true }> & { device_secret: string })
  | Extract<PasswordOutcome, { ok: false }>
  /** Too many attempts from here: nothing was looked at. */
  | { ok: false; reason: 'limited'; refusal: Refusal };

/**
 * A refusal leaves at the next of these steps after the question, in milliseconds: to count a failure of somebody who exists takes a
 * fraction of one longer than to count nothing, and many samples would show it.
 */
const refusalStepMs = 50;

/**
 * Checks a current password that was typed into a page, as every page does that asks for one, so that none of them is a way round
 * the limits or the lock. Throws HashingBusyError when too many wait; such an attempt counts nowhere.
 */
export async function attemptPassword(
  ctx: Context,
  { services, provider }: PageDependencies,
  { tenant_id, email, password }: TypedCredentials,
): Promise<PasswordAttempt> {
  const { config, db, hashing, limits, mail } = services;
  const { ip } = requestInfo(ctx.req);
  const startedAt = performance.now();
  const now = services.now();
  const inTenant = <T>(work: (tx: TenantTx) => Promise<T>) => withTenant(db, tenant_id, work);
  const cookie = deviceCookie(ctx, { provider: provider.current(), issuer: config.issuer, tenant_id });
  const device_secrets = cookie.read();
  const typed = { email: normaliseEmail(email), password, device_secrets, ip };

  const reserved = await limits.reserveSignIn({ tenant_id, account: email, ip });
  if (!reserved.ok && !(await inTenant((tx) => isKnownDevice(tx, typed)))) {
    return { ok: false, reason: 'limited', refusal: reserved };
  }
  const outcome = await settle(reserved, () => verifyUserPassword({ hashing, inTenant, now }, typed));
  const notice = noticeOf(outcome, { email: typed.email ?? '', now, occasion: occasionOf(ctx, now) });
  if (!outcome.ok) {
    if (notice) {
      await inTenant((tx) => mail.queue(tx, notice));
    }
    await delay(refusalStepMs - ((performance.now() - startedAt) % refusalStepMs));
    return outcome;
  }
  const device_secret = await inTenant(async (tx) => {
    if (notice) {
      await mail.queue(tx, notice);
    }
    return rememberDevice(tx, outcome.user.id, { known: device_secrets }, now);
  });
  cookie.keep(device_secret);
  return { ...outcome, device_secret };
}

/** The known device of a user comes without a reservation, and is counted by itself. */
async function settle(
  reserved: Reservation | Refusal,
  verify: () => Promise<PasswordOutcome>,
): Promise<PasswordOutcome> {
  if (!reserved.ok) {
    return verify();
  }
  try {
    const outcome = await verify();
    if (outcome.ok) {
      await reserved.succeeded();
    }
    return outcome;
  } catch (error) {
    // What could not be looked at was no failure.
    await reserved.release();
    throw error;
  }
}
