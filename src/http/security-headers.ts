import type { Middleware } from 'koa';
import type { Config } from '#src/config.ts';
import { requestInfo } from '#src/lib/request-info.ts';

/**
 * On every answer, errors included. Pages load nothing but their own inline style and script, are never framed, and send
 * forms home only; a page whose form leads on to a client names that client itself.
 */
export function securityHeaders({ issuer }: Pick<Config, 'issuer'>): Middleware {
  const https = issuer.startsWith('https:');
  return async (ctx, next) => {
    const { nonce } = requestInfo(ctx.req);
    ctx.set({
      'content-security-policy': [
        "default-src 'none'",
        `style-src 'nonce-${nonce}'`,
        `script-src 'nonce-${nonce}'`,
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
      ].join('; '),
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      'cache-control': 'no-store',
      ...(https ? { 'strict-transport-security': 'max-age=63072000; includeSubDomains' } : {}),
    });
    await next();
  };
}
