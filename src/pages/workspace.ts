import type Router from '@koa/router';
import type { Context } from 'koa';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { mayServe } from '#src/oidc/tenancy.ts';
import { type WorkspaceProps, workspacePage } from '#views/pages/workspace.ts';
import { field } from './interaction.ts';
import type { PageDependencies } from './pages.ts';

/**
 * `/workspace`: which tenant someone belongs to, when a shared client's request does not say. Leads back to the same request
 * with `tenant` in it, and nowhere else; it changes nothing, so its form needs no token.
 */
export function workspace(router: Router, { services: { catalogue } }: PageDependencies): void {
  router.get('/workspace', async (ctx) => {
    const { query, error } = ctx.query;
    await render(ctx, typeof query === 'string' ? query : '', error === 'unknown_workspace' ? { error } : {});
  });
  router.post('/workspace', async (ctx) => {
    const query = field(ctx, 'query') ?? '';
    const value = field(ctx, 'workspace')?.trim();
    if (!value) {
      await render(ctx, query, { error: 'missing' }, 400);
      return;
    }
    const [client, tenant] = await Promise.all([findClient(query), findNamedTenant(value)]);
    if (!tenant || !client?.shared || !mayServe(client, tenant)) {
      await render(ctx, query, { value, error: 'unknown_workspace' }, 404);
      return;
    }
    const params = new URLSearchParams(query);
    params.set('tenant', tenant.slug);
    if (value.includes('@') && !params.has('login_hint')) {
      params.set('login_hint', value);
    }
    ctx.redirect(`/auth?${params}`);
    ctx.status = 303;
  });

  async function findNamedTenant(value: string): Promise<Tenant | undefined> {
    const email = normaliseEmail(value);
    return email === undefined
      ? catalogue.findTenantByName(value.toLowerCase())
      : catalogue.findTenantByDomain(email.slice(email.indexOf('@') + 1));
  }

  async function findClient(query: string) {
    const client_id = new URLSearchParams(query).get('client_id');
    return client_id ? catalogue.findClient(client_id) : undefined;
  }

  async function render(
    ctx: Context,
    query: string,
    form: Pick<WorkspaceProps, 'value' | 'error'>,
    status = 200,
  ) {
    const client = await findClient(query);
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = workspacePage(pageContext(ctx), {
      action: '/workspace',
      query,
      ...(client ? { client: { client_name: client.client_name } } : {}),
      ...form,
    });
  }
}
