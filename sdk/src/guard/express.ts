import type { RequestHandler } from 'express';
import type { VerifiedToken } from '../verify/verified-token.ts';
import type { Verifier } from '../verify/verifier.ts';
import { type GuardOptions, makeGuard } from './guard.ts';
import { type MetadataOptions, makeMetadata } from './metadata.ts';

declare global {
  namespace Express {
    interface Request {
      /** Set by `guard` of the package. */
      token?: VerifiedToken;
    }
  }
}

/**
 * Express middleware that lets a request pass only with a good access token, which it puts on `req.token`. Answers
 * 400, 401, 403 and 503 itself, as JSON with WWW-Authenticate. Throws a TypeError for wrong options.
 */
export function guard(verifier: Verifier, options?: GuardOptions): RequestHandler {
  const check = makeGuard(verifier, options);
  return (req, res, next) => {
    check(req, req.originalUrl)
      .then((outcome) => {
        if ('token' in outcome) {
          req.token = outcome.token;
          next();
          return;
        }
        const { status, headers, body } = outcome.refusal;
        res.status(status).set(headers).json(body);
      })
      .catch(next);
  };
}

/**
 * Express middleware that serves the metadata of the resource server (RFC 9728) at its well-known path, to anybody:
 * to be used before the guard.
 */
export function protectedResourceMetadata(options: MetadataOptions): RequestHandler {
  const { path, headers, body } = makeMetadata(options);
  return (req, res, next) => {
    if (req.path !== path || (req.method !== 'GET' && req.method !== 'HEAD')) next();
    else res.set(headers).send(body);
  };
}
