import type { Grant, KoaContextWithOIDC } from 'oidc-provider';
import { clientMembers } from './client-metadata.ts';
import { grantSeconds } from './ttl.ts';

/**
 * What this person has granted this client before. A first-party client is granted what it asks for, without a page; every
 * other one keeps exactly what was allowed on the consent page, and new scopes ask again.
 */
export async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<Grant | undefined> {
  const { client, provider, result, session } = ctx.oidc;
  const consent = result?.['consent'] as { grantId?: string } | undefined;
  const grantId = consent?.grantId ?? session!.grantIdFor(client!.clientId);
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant = known?.accountId === session!.accountId ? known : undefined;
  if (!clientMembers(client!).first_party) {
    return grant;
  }
  return grantAll(ctx, grant);
}

async function grantAll(ctx: KoaContextWithOIDC, known: Grant | undefined): Promise<Grant> {
  const { client, provider, session, requestParamOIDCScopes, requestParamScopes, resourceServers } = ctx.oidc;
  // A grant that could end before a refresh token of today is replaced.
  const lasting = known && known.exp! - Math.floor(Date.now() / 1000) > grantSeconds / 2 ? known : undefined;
  const grant = lasting ?? new provider.Grant({ accountId: session!.accountId!, clientId: client!.clientId });
  const before = JSON.stringify([grant.openid, grant.resources]);
  grant.addOIDCScope([...requestParamOIDCScopes].join(' '));
  for (const [identifier, server] of Object.entries(resourceServers ?? {})) {
    const scope = [...requestParamScopes].filter((name) => server.scopes.has(name)).join(' ');
    grant.addResourceScope(identifier, scope);
  }
  if (!lasting || JSON.stringify([grant.openid, grant.resources]) !== before) {
    await grant.save();
  }
  return grant;
}
