import { errors, type ResourceServer } from 'oidc-provider';
import type { Catalogue } from '#src/domain/catalogue/catalogue.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { clientMembers } from './client-metadata.ts';
import { accessTokenSeconds } from './ttl.ts';

/**
 * RFC 8707. A resource is looked up, never echoed: it must be on the client's own list and be a resource server of the
 * client's tenant or of the platform; scopes are those that both allow.
 */
export function makeResourceIndicators(catalogue: Catalogue) {
  return {
    enabled: true,
    /** A machine client that names no resource gets its first one; a person's token without one serves userinfo. */
    async defaultResource(
      ctx: Context,
      client: object,
      oneOf?: string[],
    ): Promise<string | string[] | undefined> {
      if (oneOf) {
        return oneOf;
      }
      return ctx.oidc.params?.['grant_type'] === 'client_credentials'
        ? clientMembers(client).resources[0]?.identifier
        : undefined;
    },
    /** What was asked for at the authorization endpoint need not be said again at the token endpoint. */
    async useGrantedResource(): Promise<boolean> {
      return true;
    },
    async getResourceServerInfo(_ctx: Context, identifier: string, client: object): Promise<ResourceServer> {
      const { resources, tenant_id } = clientMembers(client);
      const allowed = resources.find((resource) => resource.identifier === identifier);
      const server =
        allowed &&
        ((await catalogue.findResourceServer(tenant_id, identifier)) ??
          (await catalogue.findResourceServer(platformTenantId, identifier)));
      if (!server) {
        throw new errors.InvalidTarget();
      }
      return {
        scope: server.scopes.filter((scope) => allowed.scopes.includes(scope)).join(' '),
        audience: identifier,
        accessTokenFormat: 'jwt',
        accessTokenTTL: accessTokenSeconds,
        jwt: { sign: { alg: 'ES256' } },
      };
    },
  };
}

type Context = { oidc: { params?: Record<string, unknown> | undefined } };
