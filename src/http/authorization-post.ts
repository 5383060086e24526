import { bodyParser } from '@koa/bodyparser';
import type { Middleware } from 'koa';

const parseForm = bodyParser({ enableTypes: ['form'], formLimit: '56kb', encoding: 'utf-8' });

/**
 * OpenID Connect Core 3.1.2.1 lets an authorization request come as a form. The library would need SameSite=None cookies for
 * that; instead the browser is sent on to the same request as a GET, with its cookies.
 */
export function postAuthorizationAsGet(): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== 'POST' || ctx.path !== '/auth') {
      await next();
      return;
    }
    await parseForm(ctx, async () => {
      const params = new URLSearchParams(ctx.request.rawBody ?? '');
      // Repeated parameters stay repeated, over query and body, so that the library refuses them.
      for (const [name, value] of new URLSearchParams(ctx.querystring)) {
        params.append(name, value);
      }
      ctx.status = 303;
      ctx.redirect(`/auth?${params}`);
    });
  };
}
