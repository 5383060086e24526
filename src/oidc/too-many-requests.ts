import type { Context } from 'koa';
import type { Refusal } from '#src/domain/limits/limits.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { tooManyRequestsPage } from '#views/pages/too-many-requests.ts';
import { pageContext } from './pages.ts';

/**
 * `Retry-After` (RFC 9110 section 10.2.3), and the fields of draft-ietf-httpapi-ratelimit-headers-09: the limit by its name, with
 * its quota and window, and that nothing is left of it for so many seconds.
 */
export function setLimitHeaders(
  ctx: Pick<Context, 'set'>,
  { limit: { name, points, seconds }, retryAfterSeconds }: Refusal,
): void {
  ctx.set({
    'retry-after': String(retryAfterSeconds),
    'ratelimit-policy': `"${name}";q=${points};w=${seconds}`,
    ratelimit: `"${name}";r=0;t=${retryAfterSeconds}`,
  });
}

/** Answers 429: a page for people, JSON for machines. `back` leads to where it can be tried again. */
export function answerTooManyRequests(
  ctx: Context,
  refusal: Refusal,
  { tenant, back }: { tenant?: Tenant; back?: string } = {},
): void {
  setLimitHeaders(ctx, refusal);
  ctx.status = 429;
  if (ctx.accepts('json', 'html') !== 'html') {
    ctx.body = { error: 'too_many_requests', error_description: 'too many requests for now' };
    return;
  }
  ctx.type = 'html';
  ctx.body = tooManyRequestsPage(pageContext(ctx, tenant), {
    limited: refusal.limit.name === 'sign_in' ? 'account' : 'network',
    wait_seconds: refusal.retryAfterSeconds,
    ...(back === undefined ? {} : { back_href: back }),
  });
}
