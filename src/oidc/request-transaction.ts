import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Database } from '#src/database/pool.ts';
import { isDatabaseUnavailable } from '#src/database/unavailable.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { allowFormTarget } from './form-target.ts';
import { renderErrorPage } from './pages.ts';
import { runWithRequestStore } from './request-store.ts';
import type { Tenancy } from './tenancy.ts';

/** Requests that use something up lock the rows they read: codes, refresh tokens, interactions, and the session they change. */
const locking = /^(POST \/token|GET \/auth(\/[\w-]+)?|POST \/logout\/confirm)$/;
/** Calls that a client makes itself, not a browser on its way to it. */
const clientCalls = new Set(['/token', '/par', '/introspect', '/revoke']);

/**
 * One transaction for each request of the provider, committed before its answer leaves. A failed commit, or a database that
 * went away, is 503 with Retry-After whatever the library had made of it, and nothing of the request is kept.
 */
export function useRequestTransactions(
  provider: Provider,
  { db, tenancy }: { db: Database; tenancy: Tenancy },
): void {
  provider.use(async (ctx, next) => {
    const { ip, log } = requestInfo(ctx.req);
    let failure: unknown;
    try {
      await runWithRequestStore(
        db,
        {
          lock: locking.test(`${ctx.method} ${ctx.path}`),
          client_ip: clientCalls.has(ctx.path) ? ip : undefined,
        },
        async (store) => {
          if (await tenancy.enter(ctx as KoaContextWithOIDC)) {
            await next();
            tenancy.leave(ctx as KoaContextWithOIDC);
          }
          failure = store.failure;
          return { result: undefined, keep: failure === undefined && ctx.status < 500 };
        },
      );
    } catch (error) {
      failure = error;
    }
    if (failure !== undefined) {
      log.error({ err: failure }, 'request failed in the protocol store');
      answerFailure(ctx as KoaContextWithOIDC, failure);
    } else if (ctx.status === 404 && ctx.body === undefined) {
      answer(ctx as KoaContextWithOIDC, 404, 'not_found');
    }
    limitFormTargets(ctx as KoaContextWithOIDC);
  });
}

function answerFailure(ctx: KoaContextWithOIDC, failure: unknown) {
  const unavailable = isDatabaseUnavailable(failure);
  const error = unavailable ? 'temporarily_unavailable' : 'server_error';
  ctx.remove('set-cookie');
  ctx.remove('location');
  if (unavailable) {
    ctx.set('retry-after', '2');
  }
  answer(ctx, unavailable ? 503 : 500, error);
}

function answer(ctx: KoaContextWithOIDC, status: number, error: string) {
  if (ctx.accepts('json', 'html') === 'html') {
    renderErrorPage(ctx, status, error);
  } else {
    ctx.status = status;
    ctx.body = { error };
  }
}

/**
 * form_post answers with a form to the client's redirect_uri; so does, by way of our own pages, a sign-in that replaces another
 * person's session. The URI was checked when the request came in.
 */
function limitFormTargets(ctx: KoaContextWithOIDC) {
  const { oidc } = ctx;
  const redirect_uri = oidc?.redirectUriCheckPerformed
    ? oidc.params?.['redirect_uri']
    : oidc?.entities.Interaction?.params['redirect_uri'];
  if (ctx.response.is('html') && typeof redirect_uri === 'string') {
    allowFormTarget(ctx, redirect_uri);
  }
}
