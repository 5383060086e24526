import type { ParsedUrlQuery } from 'node:querystring';
import { decodeProtectedHeader } from 'jose';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { isTenantId } from '#src/database/tenant.ts';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import type { ClientWithSecrets } from '#src/domain/clients/clients.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import type { CookieNames } from './cookies.ts';
import { renderErrorPage } from './pages.ts';
import { isIdTokenHeader } from './request-rules.ts';
import { requestStore, setRequestTenant } from './request-store.ts';
import type { StoredObjects } from './stored-objects.ts';

type Context = KoaContextWithOIDC;

export interface TenancyDependencies {
  catalogue: Catalogue;
  cookies: CookieNames;
  stored: StoredObjects;
  /** Answers with the page that lets someone with several sessions say which one to end. */
  renderLogoutChoice(ctx: Context, tenants: Tenant[]): void;
}

/** What happens around the library's own handling of a request. */
export interface Tenancy {
  /**
   * Finds the tenant of a browser's request before the library reads a session: sessions are per tenant, in cookies of their
   * own. Gives false when it answered by itself.
   */
  enter(ctx: Context): Promise<boolean>;
  /** Remembers whose session is about to be replaced, when the answer leads through the sign-out. */
  leave(ctx: Context): void;
}

export function makeTenancy(dependencies: TenancyDependencies): Tenancy {
  const routes: Record<string, (ctx: Context) => Promise<boolean>> = {
    'GET /auth': (ctx) => enterAuthorization(dependencies, ctx),
    'GET /logout': (ctx) => enterLogout(dependencies, ctx),
    'POST /logout/confirm': (ctx) => confirmLogout(dependencies, ctx),
  };
  return {
    async enter(ctx) {
      const resumed = /^\/auth\/([\w-]+)$/.exec(ctx.path);
      if (resumed) {
        return resumeAuthorization(dependencies, ctx, resumed[1]!);
      }
      return (await routes[`${ctx.method} ${ctx.path}`]?.(ctx)) ?? true;
    },
    leave(ctx) {
      const { tenant } = requestStore();
      // Somebody else signed in: the library answers the resumed request with a form to its own sign-out.
      if (tenant && ctx.oidc?.entities.Interaction && ctx.oidc.session?.state && ctx.response.is('html')) {
        rememberLogoutTenant(dependencies.cookies, ctx, tenant);
      }
    },
  };
}

function rememberLogoutTenant({ logout, logoutOptions }: CookieNames, ctx: Context, { tenant_id }: Tenant) {
  ctx.cookies.set(logout, tenant_id, logoutOptions);
}

/** One value of a parameter; undefined when absent or repeated, which the library then refuses. */
function single(query: ParsedUrlQuery, name: string): string | undefined {
  const value = query[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Runs the request under the tenant, whose settings bound its session. */
function enter(tenant: Tenant): true {
  setRequestTenant(tenant.tenant_id);
  requestStore().tenant = tenant;
  return true;
}

async function enterAuthorization(
  { catalogue, stored }: TenancyDependencies,
  ctx: Context,
): Promise<boolean> {
  const client_id = single(ctx.query, 'client_id');
  const client = client_id === undefined ? undefined : await catalogue.findClient(client_id);
  if (!client) {
    return true;
  }
  if (!client.shared) {
    const tenant = await catalogue.findTenant(client.tenant_id);
    return tenant?.status === 'active' ? enter(tenant) : true;
  }
  const request_uri = single(ctx.query, 'request_uri');
  const found = request_uri === undefined ? undefined : await stored.readPushedRequest(request_uri);
  const pushed = found?.params['client_id'] === client_id ? found : undefined;
  if (request_uri !== undefined && !pushed) {
    // Unknown, used up or another client's: the library says so, and nobody is asked for a workspace.
    setRequestTenant(platformTenantId);
    return true;
  }
  // What was pushed cannot be changed in the browser (RFC 9126 section 4).
  const params = { ...ctx.query, ...pushed?.params };
  const outcome = await resolveTenant(catalogue, client, params);
  if (outcome.tenant) {
    if (pushed && request_uri !== undefined) {
      await stored.movePushedRequest(request_uri, outcome.tenant.tenant_id);
    }
    return enter(outcome.tenant);
  }
  if (single(params, 'prompt') === 'none') {
    // Nobody may be asked: without a tenant there is no session, and the library says login_required.
    setRequestTenant(platformTenantId);
    return true;
  }
  const query = new URLSearchParams(ctx.querystring);
  query.delete('tenant');
  ctx.status = 303;
  ctx.redirect(
    `/workspace?${new URLSearchParams({ query: query.toString(), ...(outcome.unknown ? { error: 'unknown_workspace' } : {}) })}`,
  );
  return false;
}

interface Resolution {
  tenant?: Tenant | undefined;
  /** A tenant was named, but none that this client may serve. */
  unknown?: boolean;
}

type Step = (catalogue: Catalogue, params: ParsedUrlQuery) => Promise<Tenant | 'unknown' | undefined>;

/** How the tenant of a shared client's request is found, in this order. Never from Host. */
const steps: Step[] = [
  async function byTenantParameter(catalogue, params) {
    const name = single(params, 'tenant');
    return name === undefined ? undefined : ((await catalogue.findTenantByName(name)) ?? 'unknown');
  },
  async function byLoginHint(catalogue, params) {
    const email = normaliseEmail(single(params, 'login_hint') ?? '');
    return email === undefined
      ? undefined
      : catalogue.findTenantByDomain(email.slice(email.indexOf('@') + 1));
  },
];

async function resolveTenant(
  catalogue: Catalogue,
  client: ClientWithSecrets,
  params: ParsedUrlQuery,
): Promise<Resolution> {
  for (const step of steps) {
    const found = await step(catalogue, params);
    if (found === 'unknown') {
      return { unknown: true };
    }
    if (found) {
      return mayServe(client, found) ? { tenant: found } : { unknown: true };
    }
  }
  return {};
}

/** Whether users of the tenant may use the shared client. */
export function mayServe(client: Pick<ClientWithSecrets, 'allowed_tenants'>, tenant: Tenant): boolean {
  return (
    tenant.status === 'active' &&
    tenant.tenant_id !== platformTenantId &&
    (client.allowed_tenants === null || client.allowed_tenants.includes(tenant.slug))
  );
}

/** The interaction knows its tenant; whose browser it is in, the library checks. */
async function resumeAuthorization(
  { catalogue, cookies, stored }: TenancyDependencies,
  ctx: Context,
  uid: string,
): Promise<boolean> {
  await stored.prefetch('Interaction', uid);
  // The path can name anybody's; the cookie is of the browser that began it.
  if (ctx.cookies.get(cookies.names.resume, cookies.options) === uid) {
    requestStore().signIn = stored.readSignIn(uid);
  }
  return enterKnownTenant(catalogue);
}

async function enterKnownTenant(catalogue: Catalogue): Promise<boolean> {
  const { tenant_id } = requestStore();
  const tenant = tenant_id === undefined ? undefined : await catalogue.findTenant(tenant_id);
  return tenant ? enter(tenant) : true;
}

async function enterLogout(dependencies: TenancyDependencies, ctx: Context): Promise<boolean> {
  const { catalogue, cookies, renderLogoutChoice } = dependencies;
  if (!isIdTokenHeader(headerOfHint(single(ctx.query, 'id_token_hint')))) {
    renderErrorPage(ctx, 400, 'invalid_request');
    return false;
  }
  const named = await namedInLogout(catalogue, ctx.query);
  const signedIn = named ? [] : await listSignedIn(dependencies, ctx);
  if (signedIn.length > 1) {
    renderLogoutChoice(ctx, signedIn);
    return false;
  }
  const tenant = named ?? signedIn[0];
  if (!tenant) {
    return true;
  }
  rememberLogoutTenant(cookies, ctx, tenant);
  return enter(tenant);
}

/** Only says whose session is meant; the library verifies the hint itself. */
async function namedInLogout(catalogue: Catalogue, query: ParsedUrlQuery): Promise<Tenant | undefined> {
  const hinted = tenantOfHint(single(query, 'id_token_hint'));
  if (hinted !== undefined) {
    return catalogue.findTenant(hinted);
  }
  const name = single(query, 'tenant');
  if (name !== undefined) {
    return catalogue.findTenantByName(name);
  }
  const client_id = single(query, 'client_id');
  const client = client_id === undefined ? undefined : await catalogue.findClient(client_id);
  return client && !client.shared ? catalogue.findTenant(client.tenant_id) : undefined;
}

/** What cannot be read is left to the library to refuse. */
function headerOfHint(hint: string | undefined): { typ?: unknown } {
  try {
    return decodeProtectedHeader(hint ?? '');
  } catch {
    return {};
  }
}

function tenantOfHint(hint: string | undefined): string | undefined {
  try {
    const payload = JSON.parse(Buffer.from(hint?.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof payload?.tenant_id === 'string' && isTenantId(payload.tenant_id)
      ? payload.tenant_id
      : undefined;
  } catch {
    return undefined;
  }
}

async function listSignedIn({ catalogue, cookies }: TenancyDependencies, ctx: Context): Promise<Tenant[]> {
  const ids = cookies.sessionTenants(ctx.req.headers.cookie ?? '').slice(0, 20);
  const tenants = await Promise.all(ids.map((tenant_id) => catalogue.findTenant(tenant_id)));
  return tenants.filter((tenant) => tenant !== undefined);
}

async function confirmLogout({ catalogue, cookies }: TenancyDependencies, ctx: Context): Promise<boolean> {
  const tenant_id = ctx.cookies.get(cookies.logout, cookies.logoutOptions);
  const tenant = tenant_id && isTenantId(tenant_id) ? await catalogue.findTenant(tenant_id) : undefined;
  // Not the cookies: another tenant may stay signed in.
  ctx.set('clear-site-data', '"cache", "storage"');
  return tenant ? enter(tenant) : true;
}
