import { bodyParser } from '@koa/bodyparser';
import type { Middleware } from 'koa';
import { AnswerError } from '#src/lib/answer-error.ts';
import { isEncodedText } from '#src/lib/encoded-text.ts';

/**
 * Reads a posted form (`application/x-www-form-urlencoded`) of at most `limit`, such as `16kb`; other kinds are not read. Refuses
 * one that is longer (413), broken or no text (400), or compressed (415), which no browser sends and which may be of any size inside.
 */
export function readForm(limit: string): Middleware {
  const parse = bodyParser({ enableTypes: ['form'], formLimit: limit, encoding: 'utf-8' });
  return async (ctx, next) => {
    if (!['', 'identity'].includes(ctx.get('content-encoding'))) {
      throw new AnswerError(415, 'invalid_request');
    }
    try {
      await parse(ctx, async () => {});
    } catch (error) {
      throw new AnswerError((error as { status?: number }).status === 413 ? 413 : 400, 'invalid_request');
    }
    if (!isEncodedText(ctx.request.rawBody ?? '')) {
      throw new AnswerError(400, 'invalid_request');
    }
    await next();
  };
}
