import type { Middleware } from 'koa';
import { resolveClientIp } from '#src/lib/client-ip.ts';
import { randomPart } from '#src/lib/random.ts';
import { setRequestInfo } from '#src/lib/request-info.ts';
import type { Services } from '#src/services.ts';

/** Gives the request its id, its log, its nonce and the address it comes from, and writes one line when it is answered. */
export function identifyRequest({ config, log }: Pick<Services, 'config' | 'log'>): Middleware {
  return async (ctx, next) => {
    const startedAt = performance.now();
    const request_id = randomPart(9).toString('base64url');
    const ip = resolveClientIp({
      peer: ctx.req.socket.remoteAddress,
      forwardedFor: ctx.req.headers['x-forwarded-for'] as string | undefined,
      trustedProxies: config.trustedProxies,
    });
    setRequestInfo(ctx.req, {
      request_id,
      ip,
      nonce: randomPart(16).toString('base64'),
      log: log.child({ request_id }),
    });
    ctx.set('x-request-id', request_id);
    ctx.res.once('finish', () => {
      log.info(
        {
          request_id,
          method: ctx.method,
          // Only the path: a query carries codes, hints and states.
          path: hideIdentifiers(ctx.path),
          status: ctx.res.statusCode,
          ms: Math.round((performance.now() - startedAt) * 10) / 10,
          ip,
        },
        'request',
      );
    });
    await next();
  };
}

/** Who knows the identifier of an interaction knows half of what its browser has to show. */
function hideIdentifiers(path: string): string {
  return path.replaceAll(/[\w-]{43}/g, ':uid');
}
