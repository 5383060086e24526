import type { Context } from 'koa';
import { withTenant } from '#src/database/tenant.ts';
import { rememberDevice } from '#src/domain/credentials/known-devices.ts';
import { type PasswordOutcome, verifyUserPassword } from '#src/domain/credentials/verify-user-password.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { deviceCookie } from './device-cookie.ts';
import type { PageDependencies } from './pages.ts';

/** What `verifyUserPassword` says; where the password was right, the secret of the device, too, which the browser holds by then. */
export type PasswordAttempt =
  | (Extract<PasswordOutcome, { ok: true }> & { device_secret: string })
  | Extract<PasswordOutcome, { ok: false }>;

/**
 * Checks a current password that was typed into a page, as every page does that asks for one, so that none of them is a way round
 * the lock. Throws HashingBusyError when too many wait.
 */
export async function attemptPassword(
  ctx: Context,
  { services, provider }: PageDependencies,
  { tenant_id, email, password }: { tenant_id: string; email: string; password: string },
): Promise<PasswordAttempt> {
  const { config, db, hashing } = services;
  const now = services.now();
  const inTenant: Parameters<typeof verifyUserPassword>[0]['inTenant'] = (work) =>
    withTenant(db, tenant_id, work);
  const cookie = deviceCookie(ctx, { provider: provider.current(), issuer: config.issuer, tenant_id });
  const device_secrets = cookie.read();
  const outcome = await verifyUserPassword(
    { hashing, inTenant, now },
    { email: normaliseEmail(email), password, device_secrets, ip: requestInfo(ctx.req).ip },
  );
  if (!outcome.ok) {
    return outcome;
  }
  const device_secret = await inTenant((tx) =>
    rememberDevice(tx, outcome.user.id, { known: device_secrets }, now),
  );
  cookie.keep(device_secret);
  return { ...outcome, device_secret };
}
