import type { Middleware } from 'koa';
import type { Config } from '#src/config.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { homePage } from '#views/pages/home.ts';

/** `/`: what this server is, for whoever opens the issuer in a browser. */
export function home({ issuer, demo }: Pick<Config, 'issuer' | 'demo'>): Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/' || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) {
      await next();
      return;
    }
    ctx.type = 'html';
    ctx.body = homePage(pageContext(ctx), { issuer, demo });
  };
}
