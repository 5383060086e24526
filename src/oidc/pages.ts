import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { findUser } from '#src/domain/users/users.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import type { PageContext } from '#views/layout.ts';
import { errorPage } from '#views/pages/error.ts';
import { loggedOutPage } from '#views/pages/logged-out.ts';
import { logoutPage } from '#views/pages/logout.ts';
import { logoutChoicePage } from '#views/pages/logout-choice.ts';
import { text } from '#views/text/text.ts';
import { allowFormTarget } from './form-target.ts';
import { requestStore, requestTx } from './request-store.ts';

type Context = Pick<KoaContextWithOIDC, 'req' | 'get'> & { status: number; type: string; body: unknown };

/** What every page knows of its request. */
export function pageContext(ctx: Pick<Context, 'req' | 'get'>, tenant?: Tenant): PageContext {
  const { nonce, request_id } = requestInfo(ctx.req);
  return {
    nonce,
    request_id,
    lang: ctx.get('accept-language').slice(0, 2) || 'en',
    product: 'Tessera',
    ...(tenant ? { tenant: { name: tenant.name, slug: tenant.slug } } : {}),
  };
}

function render(ctx: Context, page: string, status = 200) {
  ctx.status = status;
  ctx.type = 'html';
  ctx.body = page;
}

/** The page for an error that cannot go back to the client. Says what the person can do, never what broke inside. */
export async function renderError(ctx: KoaContextWithOIDC, out: ErrorOut): Promise<void> {
  renderErrorPage(ctx, ctx.status, out.error);
}

/** An error page by its code: one text for each code that people meet, one for all others. */
export function renderErrorPage(ctx: Context, status: number, error: string): void {
  const page = pageContext(ctx);
  const { reasons } = text(page.lang).error;
  const reason =
    reasons[error as keyof typeof reasons] ??
    (status >= 500 ? reasons.server_error : reasons.invalid_request);
  render(ctx, errorPage(page, { status, title: reason.title, message: reason.message, error }), status);
}

/** Asks before it signs out: a link alone must not (OpenID Connect RP-Initiated Logout 1.0 section 2). */
export async function logoutSource(ctx: KoaContextWithOIDC): Promise<void> {
  const { client, session, provider } = ctx.oidc;
  const state = session!.state as { secret: string; postLogoutRedirectUri?: string };
  if (state.postLogoutRedirectUri !== undefined) {
    allowFormTarget(ctx, state.postLogoutRedirectUri);
  }
  const account = session?.accountId ? await findSignedIn(session.accountId) : undefined;
  const props = {
    form_action: provider.pathFor('end_session_confirm'),
    xsrf: state.secret,
    ...(client ? { client: presentClient(client) } : {}),
    ...(account ? { user: { email: account } } : {}),
  };
  render(ctx, logoutPage(pageContext(ctx, requestStore().tenant), props));
}

async function findSignedIn(accountId: string): Promise<string | undefined> {
  return (await findUser(await requestTx(), accountId))?.email;
}

/** Signed out, and nowhere registered to go back to. */
export async function postLogoutSuccessSource(ctx: KoaContextWithOIDC): Promise<void> {
  const { client } = ctx.oidc;
  render(ctx, loggedOutPage(pageContext(ctx), client ? { client: presentClient(client) } : {}));
}

/** Several tenants are signed in in this browser, and the request names none. */
export function renderLogoutChoice(ctx: Context & { querystring: string }, tenants: Tenant[]): void {
  const choices = tenants.map(({ name, slug }) => {
    const query = new URLSearchParams(ctx.querystring);
    query.set('tenant', slug);
    return { name, href: `/logout?${query}` };
  });
  render(ctx, logoutChoicePage(pageContext(ctx), { choices }));
}

/** A client as pages name it. */
export function presentClient(client: {
  clientId: string;
  clientName?: string | undefined;
  clientUri?: string | undefined;
}) {
  return {
    client_name: client.clientName ?? client.clientId,
    ...(client.clientUri ? { client_uri: client.clientUri } : {}),
  };
}
