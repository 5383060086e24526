import type { Context } from 'koa';
import type Provider from 'oidc-provider';
import { findSessionId } from '#src/domain/sessions/sessions.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import type { User } from '#src/domain/users/users.ts';
import type { BrowserSession } from '#src/oidc/browser-sessions.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { requestStore, requestTx, runWithRequestStore, setRequestTenant } from '#src/oidc/request-store.ts';
import { accountChoicePage } from '#views/pages/account-choice.ts';
import { accountPath, askToSignIn } from './account-sign-in.ts';
import { checkCsrf, csrfTokens, refuseOtherSites } from './csrf.ts';
import { field } from './interaction.ts';
import type { PageDependencies } from './pages.ts';

/** So long after a sign-in a person may see and end sessions without signing in again. Seconds (ASVS 7.5.2, 7.5.3). */
export const recentSignInSeconds = 15 * 60;

/** The person whose account page it is, on the device that asks. */
export interface SignedIn {
  tenant: Tenant;
  user: User;
  /** The session of this browser, among the person's sessions. */
  session_id: string;
  now: Date;
  /** The token of the form that posts to this path. It is bound to this session. */
  csrf(path: string): string;
}

/**
 * Runs `work`, inside one transaction, for whoever is signed in in the tenant that the request or its only session cookie names.
 * Otherwise answers by itself: with the choice of the workspace, or by the way to sign in. Refuses with 403 a post that did not
 * come from this session's own form of this path.
 */
export async function withSignedIn(
  ctx: Context,
  dependencies: PageDependencies,
  work: (signedIn: SignedIn) => Promise<void>,
): Promise<void> {
  if (ctx.method === 'POST') {
    refuseOtherSites(ctx);
  }
  const tenants = await findTenants(ctx, dependencies);
  const [tenant] = tenants;
  if (tenants.length > 1) {
    renderChoice(ctx, tenants);
  } else if (tenant === undefined) {
    askToSignIn(ctx, dependencies, {});
  } else {
    const refused = await runInTenant(ctx, dependencies, tenant, work);
    if (refused) {
      askToSignIn(ctx, dependencies, { tenant, ...refused });
    }
  }
}

/** Several only when none is named and the browser holds cookies of several. */
async function findTenants(
  ctx: Context,
  { services: { catalogue }, provider }: PageDependencies,
): Promise<Tenant[]> {
  const { tenant: name } = ctx.query;
  const found =
    typeof name === 'string'
      ? [await catalogue.findTenantByName(name)]
      : await Promise.all(provider.sessions.listTenantIds(ctx).map((id) => catalogue.findTenant(id)));
  return found.filter((tenant) => tenant?.status === 'active') as Tenant[];
}

/** Gives how to sign in, where that is what is missing. */
async function runInTenant(
  ctx: Context,
  { services, provider: live }: PageDependencies,
  tenant: Tenant,
  work: (signedIn: SignedIn) => Promise<void>,
): Promise<{ again?: boolean; login_hint?: string } | undefined> {
  const provider = live.current();
  return runWithRequestStore(services.db, { lock: false }, async (store) => {
    setRequestTenant(tenant.tenant_id);
    store.tenant = tenant;
    const session = await live.sessions.find(provider, ctx);
    if (!session) {
      return { result: {}, keep: true };
    }
    if (ctx.method === 'POST') {
      checkCsrf(ctx, field(ctx, 'csrf'), tokensOf(provider, session, ctx.path));
      // The answer waits for the commit, whatever it is.
      requestStore().wrote = true;
    }
    const { user } = session;
    const session_id = user && (await findSessionId(await requestTx(), session.uid_key));
    const now = services.now();
    if (!session_id || now.getTime() / 1000 - session.signed_in_at > recentSignInSeconds) {
      return { result: { again: true, ...(user ? { login_hint: user.email } : {}) }, keep: true };
    }
    const csrf = (path: string) => tokensOf(provider, session, path)[0]!;
    await work({ tenant, user, session_id, now, csrf });
    return { result: undefined, keep: true };
  });
}

function tokensOf(provider: Provider, { uid }: BrowserSession, path: string): string[] {
  return csrfTokens(provider, `${path} ${uid}`);
}

function renderChoice(ctx: Context, tenants: Tenant[]) {
  ctx.type = 'html';
  ctx.body = accountChoicePage(pageContext(ctx), {
    choices: tenants.map((tenant) => ({ name: tenant.name, href: accountPath('/account/sessions', tenant) })),
  });
}
