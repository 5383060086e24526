import type { Middleware } from 'koa';
import { jwksMaxAge } from '#src/domain/keys/signing-keys.ts';
import type { LiveProvider } from '#src/oidc/live-provider.ts';
import { documentPaths } from '#src/oidc/routes.ts';

/**
 * Discovery and JWKS from memory. They may be cached for exactly the time that a new signing key is published before it signs,
 * so that no verifier ever meets a key it cannot know.
 */
export function publicDocuments(provider: LiveProvider): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== 'GET' || !documentPaths.has(ctx.path)) {
      await next();
      return;
    }
    ctx.set({
      'access-control-allow-origin': '*',
      'cache-control': `public, max-age=${jwksMaxAge}`,
      'cross-origin-resource-policy': 'cross-origin',
    });
    const document = provider.document(ctx.path);
    if (!document) {
      await next();
      return;
    }
    ctx.set('etag', document.etag);
    if (ctx.get('if-none-match') === document.etag) {
      ctx.status = 304;
      return;
    }
    ctx.type = document.type;
    ctx.body = document.body;
  };
}
