import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import type Provider from 'oidc-provider';
import { AnswerError } from '#src/lib/answer-error.ts';

/**
 * The tokens of a form, one of each cookie key, the newest first. `bound` names what only this browser has (an interaction, a
 * session) and which form it is, so that no token is good for another browser or another form.
 */
export function csrfTokens(provider: Provider, bound: string): string[] {
  return (provider.keys as unknown as KeyObject[]).map((key) =>
    createHmac('sha256', key).update(`csrf ${bound}`).digest('base64url'),
  );
}

/** Refuses a post of another site or without one of these tokens: 403, nothing changed. */
export function checkCsrf(ctx: Context, given: string | undefined, expected: readonly string[]): void {
  const token = Buffer.from(given ?? '');
  const known = expected
    .map((text) => Buffer.from(text))
    .some((wanted) => token.length === wanted.length && timingSafeEqual(token, wanted));
  if (!known) {
    throw new AnswerError(403, 'form_expired');
  }
  refuseOtherSites(ctx);
}

/** Refuses what the browser says another site has sent: 403. */
export function refuseOtherSites(ctx: Context): void {
  if (ctx.get('sec-fetch-site') === 'cross-site') {
    throw new AnswerError(403, 'form_expired');
  }
}
