import type { FastifyPluginCallback, onRequestAsyncHookHandler } from 'fastify';
import type { VerifiedToken } from '../verify/verified-token.ts';
import type { Verifier } from '../verify/verifier.ts';
import { type GuardOptions, makeGuard } from './guard.ts';
import { type MetadataOptions, makeMetadata } from './metadata.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `guard` of the package. */
    token?: VerifiedToken;
  }
}

/**
 * A Fastify hook, for `onRequest` of a server, a plugin or a route, that lets a request pass only with a good access
 * token, which it puts on `request.token`. Answers 400, 401, 403 and 503 itself, as JSON with WWW-Authenticate.
 * Throws a TypeError for wrong options.
 */
export function guard(verifier: Verifier, options?: GuardOptions): onRequestAsyncHookHandler {
  const check = makeGuard(verifier, options);
  return async (request, reply) => {
    const outcome = await check(request.raw, request.originalUrl);
    if ('token' in outcome) {
      request.token = outcome.token;
      return undefined;
    }
    const { status, headers, body } = outcome.refusal;
    return reply.code(status).headers(headers).send(body);
  };
}

/**
 * A Fastify plugin that serves the metadata of the resource server (RFC 9728) at its well-known path, to anybody: to
 * be registered outside of what the guard protects.
 */
export function protectedResourceMetadata(options: MetadataOptions): FastifyPluginCallback {
  const { path, headers, body } = makeMetadata(options);
  return (server, _options, done) => {
    server.get(path, (_request, reply) => reply.headers(headers).send(body));
    done();
  };
}
