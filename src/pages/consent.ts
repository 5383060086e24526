import type Router from '@koa/router';
import type { Context } from 'koa';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { findUser } from '#src/domain/users/users.ts';
import { pageContext, presentClient } from '#src/oidc/pages.ts';
import { requestTx } from '#src/oidc/request-store.ts';
import { consentPage } from '#views/pages/consent.ts';
import { text } from '#views/text/text.ts';
import { field, type Step, withStep } from './interaction.ts';
import type { PageDependencies } from './pages.ts';

/** What the library found missing, in its own words. */
interface Missing {
  missingOIDCScope?: string[];
  missingOIDCClaims?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

/** `/consent/:uid`: whether a client that is not the product's own may have what it asks for. */
export function consent(router: Router, dependencies: PageDependencies): void {
  router.get('/consent/:uid', (ctx) =>
    withStep(ctx, dependencies, 'consent', (step) => render(ctx, dependencies, step)),
  );
  router.post('/consent/:uid', (ctx) =>
    withStep(ctx, dependencies, 'consent', (step) => decide(ctx, dependencies, step)),
  );
}

async function decide(ctx: Context, dependencies: PageDependencies, step: Step) {
  const decision = field(ctx, 'decision');
  if (decision === 'deny') {
    await step.finish({ error: 'access_denied', error_description: 'the user denied the request' });
  } else if (decision === 'allow' && step.interaction.result) {
    // Sent twice: the first one decided, and this one goes where it went.
    ctx.redirect(step.interaction.returnTo);
    ctx.status = 303;
  } else if (decision === 'allow') {
    await step.finish({ consent: { grantId: await allow(step) } });
  } else {
    await render(ctx, dependencies, step, 400);
  }
}

async function allow({ provider, interaction, client }: Step): Promise<string> {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = interaction.prompt
    .details as Missing;
  const known =
    interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const grant =
    known ?? new provider.Grant({ accountId: interaction.session!.accountId, clientId: client.clientId });
  if (missingOIDCScope) {
    grant.addOIDCScope(missingOIDCScope.join(' '));
  }
  if (missingOIDCClaims) {
    grant.addOIDCClaims(missingOIDCClaims);
  }
  for (const [identifier, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(identifier, scopes.join(' '));
  }
  return grant.save();
}

async function render(ctx: Context, { services }: PageDependencies, step: Step, status = 200) {
  const { interaction, client, tenant, csrf } = step;
  const { missingOIDCScope = [], missingResourceScopes = {} } = interaction.prompt.details as Missing;
  const page = pageContext(ctx, tenant);
  const describe = (names: string[]) => names.map((name) => ({ name }));
  const user = await findUser(await requestTx(), interaction.session!.accountId);
  const find = async (identifier: string) =>
    (await services.catalogue.findResourceServer(tenant.tenant_id, identifier)) ??
    (await services.catalogue.findResourceServer(platformTenantId, identifier));
  const resources = await Promise.all(
    Object.entries(missingResourceScopes).map(async ([identifier, scopes]) => ({
      identifier,
      name: (await find(identifier))?.name ?? identifier,
      scopes: describe(scopes),
    })),
  );
  ctx.status = status;
  ctx.type = 'html';
  ctx.body = consentPage(page, {
    action: `/consent/${interaction.uid}`,
    csrf,
    client: presentClient(client),
    user: { email: user?.email ?? '', ...(user?.name ? { name: user.name } : {}) },
    scopes: describe(missingOIDCScope.filter((name) => name !== 'openid' && name !== 'offline_access')),
    resources,
    offline: missingOIDCScope.includes('offline_access'),
    lifetime: text(page.lang).consent.grant_lifetime,
  });
}
