import type { Context, Middleware } from 'koa';
import { isDatabaseUnavailable } from '#src/database/unavailable.ts';
import { AnswerError } from '#src/lib/answer-error.ts';
import { HashingBusyError } from '#src/lib/hashing-queue.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { renderErrorPage } from '#src/oidc/pages.ts';

/** The one renderer of what was thrown outside the provider: a page for people, JSON for machines, never a stack. */
export function answerErrors(): Middleware {
  return async (ctx, next) => {
    try {
      await next();
      if (ctx.status === 404 && ctx.body === undefined && ctx.respond !== false) {
        answer(ctx, 404, 'not_found');
      }
    } catch (error) {
      const { status, code, retryAfter } = classify(error);
      if (status >= 500) {
        requestInfo(ctx.req).log.error({ err: error }, 'request failed');
      }
      if (ctx.headerSent) {
        return;
      }
      ctx.remove('set-cookie');
      if (retryAfter !== undefined) {
        ctx.set('retry-after', String(retryAfter));
      }
      answer(ctx, status, code);
    }
  };
}

/** Behind everything that answers. */
export function refuseUnknownPaths(): Middleware {
  return () => {
    throw new AnswerError(404, 'not_found');
  };
}

function classify(error: unknown): { status: number; code: string; retryAfter?: number } {
  if (error instanceof AnswerError) {
    return { status: error.status, code: error.code };
  }
  if (error instanceof HashingBusyError) {
    return { status: 503, code: 'temporarily_unavailable', retryAfter: error.retryAfterSeconds };
  }
  if (isDatabaseUnavailable(error)) {
    return { status: 503, code: 'temporarily_unavailable', retryAfter: 2 };
  }
  // Errors of the body parser and of the library carry the status that they mean.
  const { status, expose } = error as { status?: unknown; expose?: unknown };
  if (typeof status === 'number' && status >= 400 && status < 500 && expose === true) {
    return { status, code: 'invalid_request' };
  }
  return { status: 500, code: 'server_error' };
}

function answer(ctx: Context, status: number, code: string) {
  if (ctx.accepts('json', 'html') === 'html') {
    renderErrorPage(ctx, status, code);
    return;
  }
  ctx.status = status;
  ctx.body = { error: code };
}
