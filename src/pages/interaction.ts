import type { Context } from 'koa';
import type Provider from 'oidc-provider';
import type { Client, Interaction, InteractionResults } from 'oidc-provider';
import type { Tenant } from '#src/domain/tenants/tenants.ts';
import { AnswerError } from '#src/lib/answer-error.ts';
import { allowFormTarget } from '#src/oidc/form-target.ts';
import { requestStore, runWithRequestStore } from '#src/oidc/request-store.ts';
import { checkCsrf, csrfTokens } from './csrf.ts';
import type { PageDependencies } from './pages.ts';

/** A step of a sign-in that a page shows: who asks, in which tenant, and what was asked for. */
export interface Step {
  provider: Provider;
  interaction: Interaction;
  client: Client;
  tenant: Tenant;
  /** Goes into the page's form and must come back with it: it is bound to this interaction and this page. */
  csrf: string;
  /** Ends the step and sends the browser on with 303. */
  finish(result: InteractionResults): Promise<void>;
}

/**
 * Runs a page of the interaction that the path and the browser's cookie name, inside one transaction. Refuses when either is
 * missing, when the interaction is over, or when it waits for another prompt than this page's. On a post it refuses, too, a
 * form that did not come from this page (CSRF). A post locks the interaction, so that it ends once; `lock: false` only looks.
 */
export async function withStep<T>(
  ctx: Context,
  { services, provider: live }: PageDependencies,
  prompt: 'login' | 'consent',
  work: (step: Step) => Promise<T>,
  { lock = ctx.method === 'POST' }: { lock?: boolean } = {},
): Promise<T> {
  const provider = live.current();
  return runWithRequestStore(services.db, { lock }, async (store) => {
    const interaction = await findInteraction(provider, ctx);
    const params = interaction.params as { client_id: string; redirect_uri?: string };
    const [client, tenant] = await Promise.all([
      provider.Client.find(params.client_id),
      services.catalogue.findTenant(store.tenant_id!),
    ]);
    if (interaction.prompt.name !== prompt || !client || tenant?.status !== 'active') {
      throw new AnswerError(400, 'session_not_found');
    }
    const tokens = csrfTokens(provider, `${prompt} ${interaction.uid}`);
    if (ctx.method === 'POST') {
      checkCsrf(ctx, field(ctx, 'csrf'), tokens);
    }
    if (params.redirect_uri) {
      allowFormTarget(ctx, params.redirect_uri);
    }
    requestStore().tenant = tenant;
    const result = await work({
      provider,
      interaction,
      client,
      tenant,
      csrf: tokens[0]!,
      async finish(result) {
        const location = await provider.interactionResult(ctx.req, ctx.res, result, {
          mergeWithLastSubmission: false,
        });
        ctx.redirect(location);
        ctx.status = 303;
      },
    });
    return { result, keep: true };
  });
}

async function findInteraction(provider: Provider, ctx: Context): Promise<Interaction> {
  try {
    const interaction = await provider.interactionDetails(ctx.req, ctx.res);
    if (interaction.uid === ctx['params'].uid) {
      return interaction;
    }
  } catch (error) {
    if ((error as Error).name !== 'SessionNotFound') {
      throw error;
    }
  }
  throw new AnswerError(400, 'session_not_found');
}

/** A field of the posted form as text; undefined when absent, repeated or not a text. */
export function field(ctx: Context, name: string): string | undefined {
  const { body } = ctx.request as { body?: Record<string, unknown> };
  const value = body && Object.hasOwn(body, name) ? body[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}
