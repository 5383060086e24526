import { type AdapterPayload, errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { BatchedName } from '#src/budgets.ts';
import type { Limits } from '#src/domain/limits/limits.ts';
import { clientMembers } from './client-metadata.ts';
import { requestStore } from './request-store.ts';
import { routes } from './routes.ts';
import { setLimitHeaders } from './too-many-requests.ts';

interface ClientBudgets {
  client: BatchedName;
  tenant?: BatchedName;
}

interface CountedClient {
  client_id: string;
  tenant_id: string;
  shared: boolean;
}

const budgetsOf: Record<string, ClientBudgets> = {
  [`POST ${routes.token}`]: { client: 'token_client', tenant: 'token_tenant' },
  [`POST ${routes.pushed_authorization_request}`]: { client: 'par_client' },
};

/** A client of all tenants counts for none: whose tokens it asks for is known only when it has them. */
function keysOf(
  { client, tenant }: ClientBudgets,
  { client_id, tenant_id, shared }: CountedClient,
): [BatchedName, string][] {
  return [[client, client_id], ...(tenant && !shared ? ([[tenant, tenant_id]] as const) : [])] as [
    BatchedName,
    string,
  ][];
}

/**
 * Refuses a client, or a tenant, whose budget is used up: before its secret is looked at, so that it costs nothing. 429 with the
 * code `too_many_requests`, since RFC 6749 has none.
 */
export function admitClient(
  limits: Limits,
  ctx: KoaContextWithOIDC,
): ((client: AdapterPayload) => void) | undefined {
  const named = budgetsOf[`${ctx.method} ${ctx.path}`];
  return (
    named &&
    ((client) => {
      for (const [name, key] of keysOf(named, client as unknown as CountedClient)) {
        const refusal = limits.check(name, key);
        if (refusal) {
          setLimitHeaders(ctx, refusal);
          const error = new errors.CustomOIDCProviderError('too_many_requests', 'too many requests for now');
          throw Object.assign(error, { status: 429, statusCode: 429 });
        }
      }
    })
  );
}

/**
 * Counts what a client was given, and nothing else: whoever has neither its secret nor a code or token of it takes nothing from its
 * budget. A pushed request of a public client proves nothing, and counts for its address alone.
 */
export function countClient(limits: Limits, ctx: KoaContextWithOIDC): void {
  const named = budgetsOf[`${ctx.method} ${ctx.path}`];
  const client = ctx.oidc?.client as (object & { clientAuthMethod?: string }) | undefined;
  if (!named || !client || ctx.status >= 300 || requestStore().failure !== undefined) {
    return;
  }
  if (named.client === 'par_client' && client.clientAuthMethod === 'none') {
    return;
  }
  const { clientId: client_id, tenant_id, shared } = clientMembers(client);
  for (const [name, key] of keysOf(named, { client_id, tenant_id, shared })) {
    limits.count(name, key);
  }
}
