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
  /** The token of a form. It is bound to this session. */
  csrf(form: AccountForm): string;
}

/** What a form of the account page does; its token does nothing else. */
export type AccountForm = 'end' | 'end_others' | 'label';

/**
 * Runs `work`, inside one transaction, for whoever is signed in in the tenant that the request or its only session cookie names.
 * Otherwise answers by itself: with the choice of the workspace, or by the way to sign in. `form` is what a post does: refuses
 * with 403 one that did not come from a form for that of this session.
 */
export async function withSignedIn(
  ctx: Context,
  dependencies: PageDependencies,
  work: (signedIn: SignedIn) => Promise<void>,
  form?: AccountForm,
): Promise<void> {
  if (form) {
    refuseOtherSites(ctx);
  }
  const tenants = await findTenants(ctx, dependencies);
  const [tenant] = tenants;
  if (tenants.length > 1) {
    renderChoice(ctx, tenants);
  } else if (tenant === undefined) {
    askToSignIn(ctx, dependencies, {});
  } else {
    const refused = await runInTenant(ctx, dependencies, tenant, { form, work });
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
  { form, work }: { form: AccountForm | undefined; work: (signedIn: SignedIn) => Promise<void> },
): Promise<{ again?: boolean; login_hint?: string } | undefined> {
  const provider = live.current();
  return runWithRequestStore(services.db, { lock: false }, async (store) => {
    setRequestTenant(tenant.tenant_id);
    store.tenant = tenant;
    const session = await live.sessions.find(provider, ctx);
    if (!session) {
      return { result: {}, keep: true };
    }
    if (form) {
      checkCsrf(ctx, field(ctx, 'csrf'), tokensOf(provider, session, form));
      // The answer waits for the commit, whatever it is.
      requestStore().wrote = true;
    }
    const { user } = session;
    const session_id = user && (await findSessionId(await requestTx(), session.uid_key));
    const now = services.now();
    if (!session_id || now.getTime() / 1000 - session.signed_in_at > recentSignInSeconds) {
      return { result: { again: true, ...(user ? { login_hint: user.email } : {}) }, keep: true };
    }
    const csrf = (form: AccountForm) => tokensOf(provider, session, form)[0]!;
    await work({ tenant, user, session_id, now, csrf });
    return { result: undefined, keep: true };
  });
}

function tokensOf(provider: Provider, { uid }: BrowserSession, form: AccountForm): string[] {
  return csrfTokens(provider, `account ${form} ${uid}`);
}

function renderChoice(ctx: Context, tenants: Tenant[]) {
  ctx.type = 'html';
  ctx.body = accountChoicePage(pageContext(ctx), {
    choices: tenants.map((tenant) => ({ name: tenant.name, href: accountPath('/account/sessions', tenant) })),
  });
}
