import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Database } from '#src/database/pool.ts';
import { isDatabaseUnavailable } from '#src/database/unavailable.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { allowFormTarget } from './form-target.ts';
import { renderErrorPage } from './pages.ts';
import { type RequestStore, requestStore, runWithRequestStore } from './request-store.ts';
import type { Tenancy } from './tenancy.ts';

/** Requests that use something up lock the rows they read: codes, tokens, interactions, and the session they change. */
const locking = /^(POST \/(token|revoke)|GET \/auth(\/[\w-]+)?|GET \/logout|POST \/logout\/confirm)$/;
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
  // What failed outside of the store, such as the catalogue's reading: the library calls it an error of the server.
  provider.on('server_error', (_ctx, error) => {
    if (isDatabaseUnavailable(error)) {
      requestStore().failure ??= error;
    }
  });
  provider.use(async (ctx, next) => {
    const { ip, log } = requestInfo(ctx.req);
    let failure: unknown;
    try {
      await runWithRequestStore(
        db,
        {
          lock: locking.test(`${ctx.method} ${ctx.path}`),
          ...(clientCalls.has(ctx.path)
            ? { client_ip: ip }
            : { browser: { ip, user_agent: ctx.get('user-agent') } }),
        },
        async (store) => {
          if (await tenancy.enter(ctx as KoaContextWithOIDC)) {
            await next();
            tenancy.leave(ctx as KoaContextWithOIDC);
            leaveSessionCookie(ctx as KoaContextWithOIDC);
          }
          failure = store.failure;
          return { result: undefined, keep: failure === undefined && worthKeeping(ctx, store) };
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
    limitReaders(ctx as KoaContextWithOIDC);
  });
}

/**
 * The library uses up a code or refresh token before it checks the resource asked for: what it refuses at the token endpoint is
 * not kept, so that the client can ask again, but for what a reuse has ended.
 */
function worthKeeping(
  { path, status }: { path: string; status: number },
  { revoked }: RequestStore,
): boolean {
  return status < 400 || (status < 500 && (path !== '/token' || revoked === true));
}

/**
 * Of two tabs that finish at once, the second still sends the session cookie that the first has just renewed. Nobody is signed
 * in by that one, and the library would replace the cookie by an empty session: the browser keeps what it has instead.
 */
function leaveSessionCookie(ctx: KoaContextWithOIDC) {
  const { session } = ctx.oidc ?? {};
  if (!ctx.path.startsWith('/auth') || !session || session.accountId) {
    return;
  }
  const name = ctx.oidc.provider.cookieName('session');
  const lines = [ctx.response.get('set-cookie') ?? []].flat() as string[];
  const kept = lines.filter((line) => !line.startsWith(`${name}=`) && !line.startsWith(`${name}.sig=`));
  ctx.remove('set-cookie');
  if (kept.length) {
    ctx.set('set-cookie', kept);
  }
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
 * person's session, whose URI was checked when the request came in.
 */
function limitFormTargets(ctx: KoaContextWithOIDC) {
  const { oidc } = ctx;
  const asked = oidc?.params?.['redirect_uri'];
  // An error that goes back to the client may come before the library's own check.
  const redirect_uri =
    typeof asked === 'string' && oidc.client?.redirectUriAllowed(asked)
      ? asked
      : oidc?.entities.Interaction?.params['redirect_uri'];
  if (ctx.response.is('html') && typeof redirect_uri === 'string') {
    allowFormTarget(ctx, redirect_uri);
  }
}

/**
 * Until it knows the client, the library lets pages of every origin read its refusals. Who is no page gets the same answer
 * whether the client is known or not.
 */
function limitReaders(ctx: KoaContextWithOIDC) {
  const forPage = ctx.get('origin') !== '' && ctx.oidc?.client !== undefined;
  if (clientCalls.has(ctx.path) && ctx.method !== 'OPTIONS' && !forPage) {
    ctx.remove('access-control-allow-origin');
  }
}
