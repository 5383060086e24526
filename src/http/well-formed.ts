import type { Middleware } from 'koa';
import { AnswerError } from '#src/lib/answer-error.ts';
import { isEncodedText } from '#src/lib/encoded-text.ts';

/**
 * Path and query must be text. What is none, another reader could take for something else, and no parameter could be given back
 * as it came.
 */
export function refuseMalformedUrls(): Middleware {
  return async (ctx, next) => {
    if (!isEncodedText(ctx.url)) {
      throw new AnswerError(400, 'invalid_request');
    }
    await next();
  };
}
