import type { Middleware } from 'koa';
import type { LiveProvider } from '#src/oidc/live-provider.ts';
import type { Services } from '#src/services.ts';

/**
 * `/healthz`: the process answers. `/readyz`: it may get requests: not stopping, database reachable, signing keys loaded.
 * Asked by probes under any Host; they say nothing about versions or hosts.
 */
export function health({
  services,
  provider,
  accepting,
}: {
  services: Pick<Services, 'db'>;
  provider: LiveProvider;
  accepting: () => boolean;
}): Middleware {
  return async (ctx, next) => {
    if (ctx.path === '/healthz') {
      ctx.body = { status: 'ok' };
    } else if (ctx.path === '/readyz') {
      const ready = accepting() && provider.ready() && (await databaseAnswers(services));
      ctx.status = ready ? 200 : 503;
      ctx.body = { status: ready ? 'ok' : 'unavailable' };
    } else {
      await next();
    }
  };
}

async function databaseAnswers({ db }: Pick<Services, 'db'>): Promise<boolean> {
  try {
    await db.aux.query('select 1');
    return true;
  } catch {
    return false;
  }
}
