import type { Middleware } from 'koa';
import { Histogram, type Registry } from 'prom-client';
import { documentPaths, routes } from '#src/oidc/routes.ts';
import { pageRoots } from '#src/pages/pages.ts';

export type RequestMeter = Middleware;

const methods = new Set(['GET', 'POST']);

const firstSegment = (path: string): string => path.split('/', 2)[1] ?? '';

/** What a path may count as; everything else is `other`, so that nobody can make up labels. */
const known = new Set(
  [...Object.values(routes), ...documentPaths, ...pageRoots, '/healthz', '/readyz'].map(firstSegment),
);

/** The label of a path: its first segment where we have one of that name, `home` for `/`, else `other`. */
export function routeLabel(path: string): string {
  const segment = firstSegment(path);
  if (known.has(segment)) {
    return segment;
  }
  return path === '/' ? 'home' : 'other';
}

/** Times each request from its start to the end of its answer, by method, route and class of status. */
export function makeRequestMeter(registry: Registry): RequestMeter {
  const duration = new Histogram({
    name: 'tessera_http_request_seconds',
    help: 'Time from a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
  });
  return async (ctx, next) => {
    const startedAt = performance.now();
    // Who hangs up before the end is counted too.
    ctx.res.once('close', () => {
      const { writableFinished, statusCode } = ctx.res;
      duration.observe(
        {
          method: methods.has(ctx.method) ? ctx.method : 'other',
          route: routeLabel(ctx.path),
          status: writableFinished ? `${Math.floor(statusCode / 100)}xx` : 'aborted',
        },
        (performance.now() - startedAt) / 1000,
      );
    });
    await next();
  };
}
