import type { Middleware } from 'koa';
import type { LiveProvider } from '#src/oidc/live-provider.ts';

/** Everything else is the provider's, which writes its answer itself. */
export function serveProvider(provider: LiveProvider): Middleware {
  return async (ctx) => {
    ctx.respond = false;
    await provider.handle(ctx.req, ctx.res);
  };
}
