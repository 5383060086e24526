import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import type { Context } from 'koa';
import { accountClientId, accountRedirectUri } from '#src/domain/clients/built-in-clients.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { AnswerError } from '#src/lib/answer-error.ts';
import { randomPart } from '#src/lib/random.ts';
import { makeCookies } from '#src/oidc/cookies.ts';
import { requestTenantId, runWithRequestStore } from '#src/oidc/request-store.ts';
import { routes } from '#src/oidc/routes.ts';
import type { PageDependencies } from './pages.ts';

/** `/account/signed-in`: where a sign-in for the account page comes back to. Changes nothing. */
export function accountSignIn(router: Router, dependencies: PageDependencies): void {
  router.get('/account/signed-in', async (ctx) => {
    const { state, code, error } = ctx.query;
    if (typeof state !== 'string' || state !== readState(ctx, dependencies)) {
      throw new AnswerError(400, 'session_not_found');
    }
    if (error !== undefined) {
      throw new AnswerError(403, error === 'access_denied' ? 'access_denied' : 'session_not_found');
    }
    const tenant = typeof code === 'string' ? await findTenantOfCode(dependencies, code) : undefined;
    redirectTo(ctx, accountPath('/account/sessions', tenant));
  });
}

/**
 * The code is not redeemed: nobody has the verifier of its challenge, and it ends by itself. Who is signed in is what the
 * session cookie says, which the sign-in has set; the code only tells in which tenant that was.
 */
async function findTenantOfCode({ services, provider }: PageDependencies, code: string) {
  const tenant_id = await runWithRequestStore(services.db, { lock: false }, async () => {
    const found = await provider.current().AuthorizationCode.find(code);
    return { result: found?.clientId === accountClientId ? requestTenantId() : undefined, keep: true };
  });
  return tenant_id === undefined ? undefined : services.catalogue.findTenant(tenant_id);
}

/**
 * Sends the browser to sign in for the account page. `again`: although it is signed in, since it must be recent (ASVS 7.5.2) or
 * does not count any more. That asks a person each time, so the browser never runs in circles by itself.
 */
export function askToSignIn(
  ctx: Context,
  dependencies: PageDependencies,
  { tenant, login_hint, again = false }: { tenant?: Tenant; login_hint?: string; again?: boolean },
): void {
  const { issuer } = dependencies.services.config;
  const query = new URLSearchParams({
    client_id: accountClientId,
    redirect_uri: accountRedirectUri(issuer),
    response_type: 'code',
    scope: 'openid',
    // Of a verifier that nobody keeps.
    code_challenge: createHash('sha256').update(randomPart(32)).digest('base64url'),
    code_challenge_method: 'S256',
    state: writeState(ctx, dependencies),
    ...(tenant ? { tenant: tenant.slug } : {}),
    ...(login_hint ? { login_hint } : {}),
    ...(again ? { prompt: 'login' } : {}),
  });
  redirectTo(ctx, `${routes.authorization}?${query}`);
}

/** One value for all tabs of the browser, so that none makes the sign-in of another one fail. */
function writeState(ctx: Context, dependencies: PageDependencies): string {
  const { account, accountOptions } = makeCookies(dependencies.services.config.issuer);
  const state = readState(ctx, dependencies) ?? randomPart(32).toString('base64url');
  cookiesOf(ctx, dependencies).set(account, state, accountOptions);
  return state;
}

function readState(ctx: Context, dependencies: PageDependencies): string | undefined {
  const { account, accountOptions } = makeCookies(dependencies.services.config.issuer);
  return cookiesOf(ctx, dependencies).get(account, accountOptions);
}

/** Signed with the keys that all nodes share. */
function cookiesOf({ req, res }: Context, { provider }: PageDependencies) {
  return provider.current().createContext(req, res).cookies;
}

/** A path of the account page, for this tenant. */
export function accountPath(path: string, tenant?: Tenant, more: Record<string, string> = {}): string {
  const query = new URLSearchParams({ ...(tenant ? { tenant: tenant.slug } : {}), ...more }).toString();
  return query ? `${path}?${query}` : path;
}

/** RFC 9700 section 4.12: whatever was posted is not posted again. */
export function redirectTo(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
