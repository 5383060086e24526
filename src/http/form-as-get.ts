import type { Middleware } from 'koa';
import { AnswerError } from '#src/lib/answer-error.ts';
import { routes } from '#src/oidc/routes.ts';
import { readForm } from '#src/pages/form-body.ts';

/** What a request line may hold beside cookies and other headers; a longer request is pushed (RFC 9126). */
const longest = 12_288;
const parseForm = readForm(`${longest}b`);

const paths = new Set([routes.authorization, routes.end_session]);

/**
 * A request to sign in or out may come as a form (OpenID Connect Core 3.1.2.1, RP-Initiated Logout 2). The library would need
 * SameSite=None cookies for that; instead the browser is sent on to the same request as a GET, with its cookies.
 */
export function sendFormOnAsGet(): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== 'POST' || !paths.has(ctx.path)) {
      await next();
      return;
    }
    await parseForm(ctx, async () => {
      const params = new URLSearchParams(ctx.request.rawBody ?? '');
      // Repeated parameters stay repeated, over query and body, so that the library refuses them.
      for (const [name, value] of new URLSearchParams(ctx.querystring)) {
        params.append(name, value);
      }
      const target = `${ctx.path}?${params}`;
      if (target.length > longest) {
        throw new AnswerError(413, 'invalid_request');
      }
      ctx.status = 303;
      ctx.redirect(target);
    });
  };
}
