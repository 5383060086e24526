import Provider, { type Configuration, type JWKS, type KoaContextWithOIDC } from 'oidc-provider';
import type { ServerSecrets } from '#src/domain/keys/server-secrets.ts';
import type { SigningKeySet } from '#src/domain/keys/signing-keys.ts';
import type { Services } from '#src/services.ts';
import { claims, makeFindAccount } from './account.ts';
import { makeAdapter } from './adapter.ts';
import { clientAuth } from './client-auth.ts';
import { clientMembers, extraClientMetadata, makeFindClient } from './client-metadata.ts';
import { cookieConfiguration, makeCookies } from './cookies.ts';
import { logProviderEvents } from './events.ts';
import { loadExistingGrant } from './grants.ts';
import { useHashedClientSecrets } from './hashed-client-secret.ts';
import { makeInteractionPolicy } from './interaction-policy.ts';
import { logoutSource, postLogoutSuccessSource, renderError, renderLogoutChoice } from './pages.ts';
import type { ProtocolCipher } from './protocol-cipher.ts';
import { checkRequest } from './request-rules.ts';
import { browserTenantId } from './request-store.ts';
import { useRequestTransactions } from './request-transaction.ts';
import { makeResourceIndicators } from './resources.ts';
import { routes } from './routes.ts';
import { endDestroyedSessions, keepRenewedIdentifier } from './session-adapter.ts';
import { makeStoredObjects } from './stored-objects.ts';
import { makeTenancy } from './tenancy.ts';
import { tokens } from './tokens.ts';

const asymmetric = ['ES256', 'PS256', 'EdDSA'] as const;

export interface ProviderDependencies {
  services: Services;
  secrets: ServerSecrets;
  cipher: ProtocolCipher;
  keys: SigningKeySet;
}

/** The one OpenID provider, for the keys of this moment. Everything it stores is in the database, so it is replaced freely. */
export function makeProvider({ services, secrets, cipher, keys }: ProviderDependencies): Provider {
  const { config, catalogue, db, now } = services;
  const cookies = makeCookies(config.issuer);

  class TenantProvider extends Provider {
    /** One session cookie per tenant, so that both stay signed in in one browser. */
    override cookieName(type: 'session' | 'interaction' | 'resume'): string {
      return type === 'session' ? cookies.session(browserTenantId()) : super.cookieName(type);
    }
  }

  const provider = new TenantProvider(config.issuer, {
    ...settings,
    ...clientAuth,
    ...tokens,
    adapter: makeAdapter({
      cipher,
      db,
      now,
      findClient: makeFindClient(catalogue),
      findTenant: (tenant_id) => catalogue.findTenant(tenant_id),
    }),
    cookies: cookieConfiguration(cookies, secrets.cookie_key),
    features: makeFeatures(services, secrets),
    findAccount: makeFindAccount(catalogue),
    jwks: { keys: keys.keys.map(({ private_jwk }) => private_jwk) } as unknown as JWKS,
    extraParams: {
      // Called for every request, with the parameter or without.
      tenant: (ctx: KoaContextWithOIDC) => checkRequest(catalogue, ctx),
    },
  } as unknown as Configuration);
  // What it trusts was checked by our app: it replaces every forwarded header by its own.
  provider.proxy = true;

  useHashedClientSecrets(provider, now);
  useRequestTransactions(provider, {
    db,
    tenancy: makeTenancy({ catalogue, cookies, stored: makeStoredObjects(cipher), renderLogoutChoice }),
  });
  endDestroyedSessions(provider, cipher);
  keepRenewedIdentifier(provider);
  logProviderEvents(provider);
  return provider;
}

/** Each setting that differs from the library's default says why. */
const settings = {
  routes,
  // The front channel carries codes only (RFC 9700 section 2.1.2).
  responseTypes: ['code'],
  scopes: ['openid', 'offline_access'],
  claims,
  subjectTypes: ['public'],
  // The default lets a request leave out a redirect_uri that must match exactly.
  allowOmittingSingleRegisteredRedirectUri: false,
  acrValues: ['urn:tessera:aal1'],
  clockTolerance: 15,
  // Of every client, unless an operator marked a confidential one as unable to (decision 11).
  pkce: {
    required: (_ctx: unknown, client: object) =>
      clientMembers(client).require_pkce ||
      (client as { clientAuthMethod?: string }).clientAuthMethod === 'none',
  },
  // Only asymmetric: with HS256 the stored hash would be a key.
  enabledJWA: {
    clientAuthSigningAlgValues: asymmetric,
    idTokenSigningAlgValues: ['RS256', ...asymmetric],
    dPoPSigningAlgValues: ['ES256', 'PS256', 'EdDSA'],
  },
  clientDefaults: {
    id_token_signed_response_alg: 'RS256',
    grant_types: ['authorization_code'],
    response_types: ['code'],
  },
  extraClientMetadata: { properties: [...extraClientMetadata] },
  // The default answers any origin; a page may call only for a public client, and only from where that client lives.
  clientBasedCORS: (
    _ctx: unknown,
    origin: string,
    client: { clientAuthMethod?: string; redirectUris?: string[] },
  ) =>
    client.clientAuthMethod === 'none' &&
    (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
  interactions: {
    policy: makeInteractionPolicy(),
    url: (_ctx: unknown, interaction: { prompt: { name: string }; uid: string }) =>
      `/${interaction.prompt.name}/${interaction.uid}`,
  },
  loadExistingGrant,
  renderError,
};

function makeFeatures({ catalogue }: Services, secrets: ServerSecrets) {
  const findAccount = makeFindAccount(catalogue);
  return {
    // The library's development pages sign in anybody.
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    // Proofs are checked against a nonce that all nodes can make; it is offered, not required.
    dPoP: { enabled: true, nonceSecret: secrets.dpop_nonce, allowReplay: false },
    // The default shows any token to any confidential client, and of any person.
    introspection: {
      enabled: true,
      allowedPolicy: async (
        ctx: KoaContextWithOIDC,
        client: { clientId: string },
        token: { clientId?: string; accountId?: string; authTime?: number; iat?: number },
      ) =>
        token.clientId === client.clientId &&
        (token.accountId === undefined || (await findAccount(ctx, token.accountId, token)) !== undefined),
    },
    pushedAuthorizationRequests: { enabled: true, allowUnregisteredRedirectUris: false },
    resourceIndicators: makeResourceIndicators(catalogue),
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource, postLogoutSuccessSource },
  };
}
