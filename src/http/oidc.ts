import type { Middleware } from 'koa';
import { AnswerError } from '#src/lib/answer-error.ts';
import type { LiveProvider } from '#src/oidc/live-provider.ts';
import { documentPaths, isProviderPath } from '#src/oidc/routes.ts';

/**
 * The provider writes its answer itself. Not to HEAD, which the library would take for a GET: a
 * link preview must neither start a sign-in nor finish one.
 */
export function serveProvider(provider: LiveProvider): Middleware {
  return async (ctx, next) => {
    if (!isProviderPath(ctx.path)) {
      await next();
      return;
    }
    if (ctx.method === 'HEAD' && !documentPaths.has(ctx.path)) {
      ctx.set('allow', 'GET, POST');
      throw new AnswerError(405, 'method_not_allowed');
    }
    ctx.respond = false;
    await provider.handle(ctx.req, ctx.res);
  };
}
