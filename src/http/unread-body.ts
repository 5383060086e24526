import type { Middleware } from 'koa';

const maxBytes = 8_000_000;
const maxMs = 2_000;

/**
 * What still comes of a body when its request has been answered is thrown away, so that the sender gets to read the answer;
 * what does not end soon ends with the connection.
 */
export function cutUnreadBodies(): Middleware {
  return async ({ req, res }, next) => {
    res.once('finish', () => {
      if (req.complete) {
        return;
      }
      const timer = setTimeout(() => req.destroy(), maxMs);
      let left = maxBytes;
      req.on('data', (chunk: Buffer) => {
        left -= chunk.length;
        if (left < 0) {
          req.destroy();
        }
      });
      req.once('close', () => clearTimeout(timer));
      req.resume();
    });
    await next();
  };
}
