import type { Middleware } from 'koa';
import type { VerifiedToken } from '../verify/verified-token.ts';
import type { Verifier } from '../verify/verifier.ts';
import { type GuardOptions, makeGuard } from './guard.ts';
import { type MetadataOptions, makeMetadata } from './metadata.ts';

declare module 'koa' {
  interface DefaultState {
    /** Set by `guard` of the package. */
    token?: VerifiedToken;
  }
}

/**
 * Koa middleware that lets a request pass only with a good access token, which it puts on `ctx.state.token`. Answers
 * 400, 401, 403 and 503 itself, as JSON with WWW-Authenticate. Throws a TypeError for wrong options.
 */
export function guard(verifier: Verifier, options?: GuardOptions): Middleware<{ token: VerifiedToken }> {
  const check = makeGuard(verifier, options);
  return async (ctx, next) => {
    const outcome = await check(ctx.req, ctx.originalUrl);
    if ('token' in outcome) {
      ctx.state.token = outcome.token;
      return next();
    }
    const { status, headers, body } = outcome.refusal;
    ctx.status = status;
    ctx.set(headers);
    ctx.body = body;
  };
}

/**
 * Koa middleware that serves the metadata of the resource server (RFC 9728) at its well-known path, to anybody: to be
 * used before the guard.
 */
export function protectedResourceMetadata(options: MetadataOptions): Middleware {
  const { path, headers, body } = makeMetadata(options);
  return (ctx, next) => {
    if (ctx.path !== path || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return next();
    ctx.set(headers);
    ctx.body = body;
    return undefined;
  };
}
