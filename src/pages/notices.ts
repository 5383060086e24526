import type { Context } from 'koa';
import { lockoutPolicy } from '#src/domain/credentials/lockout-policy.ts';
import type { PasswordOutcome } from '#src/domain/credentials/verify-user-password.ts';
import type { MailInput, Occasion } from '#src/domain/mail/messages.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { describeUserAgent } from '#src/lib/user-agent.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { deviceText } from '#views/components/device.ts';
import { text } from '#views/text/text.ts';

/** When and where this request comes from, as its user is told. */
export function occasionOf(ctx: Context, now: Date): Occasion {
  return {
    at: now.toISOString(),
    ip: requestInfo(ctx.req).ip,
    device: deviceText(text(pageContext(ctx).lang), describeUserAgent(ctx.get('user-agent'))),
  };
}

/**
 * What the owner of the account is told of this attempt by mail: of a device that was not seen before, of a success after as many
 * failures as cost no wait, and once in a row of failures when the waits begin and when the password is over. Undefined when
 * there is nothing to tell.
 */
export function noticeOf(
  outcome: PasswordOutcome,
  { email, now, occasion }: { email: string; now: Date; occasion: Occasion },
): MailInput | undefined {
  if (outcome.ok) {
    const { device, failures_before: failures, user } = outcome;
    const to = { to: user.email, user_id: user.id };
    if (failures >= lockoutPolicy.free) {
      return { ...to, kind: 'sign_in_after_failures', data: { ...occasion, failures } };
    }
    return device === 'new' ? { ...to, kind: 'new_device', data: occasion } : undefined;
  }
  const { notice, user_id } = outcome;
  if (notice === 'paused') {
    const until = new Date(now.getTime() + lockoutPolicy.waits[0]! * 1_000).toISOString();
    const failures = lockoutPolicy.free;
    return { to: email, user_id, kind: 'sign_in_paused', data: { ...occasion, failures, until } };
  }
  if (notice === 'stopped') {
    const failures = lockoutPolicy.stop;
    return { to: email, user_id, kind: 'password_stopped', data: { ...occasion, failures } };
  }
  return undefined;
}
