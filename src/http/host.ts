import type { Middleware } from 'koa';
import type { Config } from '#src/config.ts';
import { AnswerError } from '#src/lib/answer-error.ts';
import { requestInfo } from '#src/lib/request-info.ts';

const forwarded =
  /^(x-forwarded-|x-real-ip$|forwarded$|x-original-|x-rewrite-|x-http-method-override$|x-method-override$)/;

/**
 * The library builds URLs from the request's host and scheme, so these must be the issuer's: another Host is 421 Misdirected
 * Request. Every forwarded header is replaced by what we know ourselves; what a trusted proxy said of the caller is read before.
 */
export function checkHost({ issuer, trustedProxies }: Pick<Config, 'issuer' | 'trustedProxies'>): Middleware {
  const { host, protocol } = new URL(issuer);
  const scheme = protocol.slice(0, -1);
  const behindProxy = trustedProxies.length > 0;
  return async (ctx, next) => {
    const { headers } = ctx.req;
    // A trusted proxy may have put the public name here and its own in Host.
    const named =
      behindProxy && requestCameThroughProxy(ctx)
        ? (headers['x-forwarded-host'] ?? headers.host)
        : headers.host;
    const target = originForm(ctx.req.url!, issuer);
    // Of two Host headers another reader might take the other one (RFC 9112 section 3.2).
    if (named !== host || ctx.req.headersDistinct['host']?.length !== 1 || target === undefined) {
      throw new AnswerError(421, 'invalid_host');
    }
    ctx.url = target;
    ctx.originalUrl = target;
    for (const name of Object.keys(headers)) {
      if (forwarded.test(name)) {
        delete headers[name];
      }
    }
    headers.host = host;
    headers['x-forwarded-proto'] = scheme;
    headers['x-forwarded-host'] = host;
    headers['x-forwarded-for'] = requestInfo(ctx.req).ip;
    await next();
  };
}

/** A target that is a whole URL names the host by itself, over the header (RFC 9112 section 3.2.2): only the issuer's is taken. */
function originForm(target: string, issuer: string): string | undefined {
  if (target.startsWith('/')) {
    return target;
  }
  return target.startsWith(`${issuer}/`) ? target.slice(issuer.length) : undefined;
}

/** Whether the caller's address differs from the peer's: only a trusted proxy's word makes it so. */
function requestCameThroughProxy(ctx: Parameters<Middleware>[0]): boolean {
  const peer = (ctx.req.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  return requestInfo(ctx.req).ip !== peer;
}
