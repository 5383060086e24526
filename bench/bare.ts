import { generateKeyPairSync } from 'node:crypto';
import Provider, { type Configuration } from 'oidc-provider';
import { type Identity, machine, redirect_uri, resource, web, webRs256 } from './identities.ts';

// The library by itself, as its own documentation starts it: in memory, its own pages, no storage, no checks of passwords.
// Only what the flows need is switched on, with the routes of Tessera.
const [port, alg] = process.argv.slice(2) as [string, 'RS256' | 'ES256'];
const { privateKey } =
  alg === 'RS256'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });

const client = (identity: Identity, grant_types: string[]) => ({
  ...identity,
  grant_types,
  redirect_uris: grant_types.includes('authorization_code') ? [redirect_uri] : [],
  response_types: grant_types.includes('authorization_code') ? ['code'] : [],
  id_token_signed_response_alg: alg,
});
const webGrants = ['authorization_code', 'refresh_token'];

const provider = new Provider(`http://localhost:${port}`, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: alg }] },
  clients: [
    client(machine, ['client_credentials']),
    client(web, webGrants),
    client(webRs256, webGrants),
  ] as Configuration['clients'],
  claims: { openid: ['sub', 'tenant_id'], email: ['email', 'email_verified'] },
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: async () => ({ sub, tenant_id: 'bench', email: 'alice@example.test', email_verified: true }),
  }),
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: async () => true,
      getResourceServerInfo: async () => ({
        scope: 'read',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg } },
      }),
    },
  },
  // The recipe of the documentation for clients of the house: no consent page.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const id = session!.grantIdFor(client!.clientId);
    // Its memory holds a thousand things and forgets the oldest.
    const known = id && (await ctx.oidc.provider.Grant.find(id));
    if (known) {
      return known;
    }
    const grant = new ctx.oidc.provider.Grant({
      accountId: session!.accountId!,
      clientId: client!.clientId,
    });
    grant.addOIDCScope('openid email');
    grant.addResourceScope(resource, 'read');
    await grant.save();
    return grant;
  },
  extraTokenClaims: async () => ({ tenant_id: 'bench' }),
  issueRefreshToken: async (_ctx, asking) => asking.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  routes: { userinfo: '/userinfo', introspection: '/introspect' },
  cookies: { keys: ['bench'] },
});
provider.listen(Number(port), '127.0.0.1');
