import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import {
  createFixture,
  type Fixture,
  post_logout_redirect_uri,
  resource,
  secretOf,
} from '#test/support/fixture.ts';
import { completeFlow, discover } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const verify = (token: string, audience: string) =>
  jwtVerify(token, createRemoteJWKSet(new URL(`${issuer}/jwks`)), { issuer, audience });

describe.each([
  ['a tenant’s own client', 'acme-web', {}],
  ['a public client', 'acme-spa', {}],
  ['a shared client', 'shared-web', { tenant: 'acme' }],
] as const)('openid-client with %s', (_, client_id, parameters) => {
  test('completes code with PKCE, refresh with rotation, and userinfo [RFC 6749 4.1, RFC 7636, OIDC Core 3.1]', async () => {
    const { config, tokens } = await completeFlow(issuer, client_id, { parameters });

    const access = await verify(tokens.access_token, resource);
    expect(access.protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(access.payload).toMatchObject({
      tenant_id: fixture.acme.tenant_id,
      sub: fixture.acme.users.alice,
      client_id,
      scope: 'read',
      acr: 'urn:tessera:aal1',
      amr: ['pwd'],
      roles: [],
    });
    const id = await verify(tokens.id_token!, client_id);
    expect(id.protectedHeader.alg).toBe('RS256');
    expect(id.payload['tenant_id']).toBe(fixture.acme.tenant_id);

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token!);
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token);
    expect((await verify(refreshed.access_token, resource)).payload['tenant_id']).toBe(
      fixture.acme.tenant_id,
    );
  });
});

test('a person’s token without resource is opaque and serves userinfo with the tenant [decision 10]', async () => {
  const { config, tokens } = await completeFlow(issuer, 'acme-web', {
    parameters: { resource: undefined, scope: 'openid email' },
  });
  expect(tokens.access_token).not.toContain('.');
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, fixture.acme.users.alice);
  expect(userinfo).toEqual({
    sub: fixture.acme.users.alice,
    tenant_id: fixture.acme.tenant_id,
    email: 'alice@example.test',
    email_verified: true,
  });
  const introspected = await client.tokenIntrospection(config, tokens.access_token);
  expect(introspected).toMatchObject({
    active: true,
    tenant_id: fixture.acme.tenant_id,
    client_id: 'acme-web',
  });
});

test.each([
  ['with private_key_jwt', 'acme-pk', {}],
  ['of a shared client that names the tenant in the pushed request', 'shared-web', { tenant: 'acme' }],
] as const)(
  'completes PAR and DPoP %s, and binds the token to the key [RFC 9126, RFC 7523, RFC 9449]',
  async (_, client_id, parameters) => {
    const keys = await client.randomDPoPKeyPair();
    let handle: client.DPoPHandle | undefined;
    const { config, tokens } = await completeFlow(issuer, client_id, {
      clientKey: fixture.clientKey,
      parameters,
      pushed: true,
      dpop: async (configuration) => {
        handle = client.getDPoPHandle(configuration, keys);
        return handle;
      },
    });
    expect(tokens.token_type).toBe('dpop');
    const { payload } = await verify(tokens.access_token, resource);
    expect(payload).toMatchObject({ tenant_id: fixture.acme.tenant_id, cnf: { jkt: expect.any(String) } });
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token!, undefined, {
      DPoP: handle!,
    });
    expect(refreshed.token_type).toBe('dpop');
  },
);

test.each([
  ['a tenant’s machine', 'globex-m2m', () => fixture.globex.tenant_id],
  ['a shared machine, which is the platform’s', 'shared-m2m', () => platformTenantId],
])(
  'completes client credentials of %s; without a resource it gets its first one [RFC 6749 4.4, RFC 8707]',
  async (_, client_id, tenant) => {
    const config = await discover(issuer, client_id);
    const tokens = await client.clientCredentialsGrant(config, { scope: 'read' });
    const { payload } = await verify(tokens.access_token, resource);
    expect(payload).toMatchObject({ tenant_id: tenant(), sub: client_id, scope: 'read' });
  },
);

test.each([
  ['acme-web', {}],
  ['shared-web', { tenant: 'acme' }],
] as const)(
  'signs out at the request of %s and comes back to it [OIDC RP-Initiated Logout 2]',
  async (client_id, parameters) => {
    const { agent, config, tokens } = await completeFlow(issuer, client_id, { parameters });
    const url = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token!,
      post_logout_redirect_uri,
      state: 'bye',
    });
    const page = await agent.get(url.href);
    expect(page.status).toBe(200);
    const left = await agent.submit(page, { logout: 'yes' });
    expect(left.location).toBe(`${post_logout_redirect_uri}?state=bye`);
    const again = await agent.follow(
      await agent.get(
        `${issuer}/auth?${new URLSearchParams({
          client_id,
          ...parameters,
          redirect_uri: 'http://localhost:4000/callback',
          response_type: 'code',
          scope: 'openid',
          prompt: 'none',
          code_challenge: 'a'.repeat(43),
          code_challenge_method: 'S256',
        })}`,
      ),
    );
    expect(new URL(again.location!).searchParams.get('error')).toBe('login_required');
  },
);

test('a session of one tenant never serves another; both stay signed in in one browser [decision 3]', async () => {
  const agent = makeUserAgent();
  const acme = await completeFlow(issuer, 'shared-web', { agent, parameters: { tenant: 'acme' } });
  const globex = await completeFlow(issuer, 'shared-web', { agent, parameters: { tenant: 'globex' } });
  expect(decodeJwt(acme.tokens.access_token)['tenant_id']).toBe(fixture.acme.tenant_id);
  expect(decodeJwt(globex.tokens.access_token)['tenant_id']).toBe(fixture.globex.tenant_id);
  for (const tenant of ['acme', 'globex'] as const) {
    const silent = await completeFlow(issuer, 'shared-web', {
      agent,
      parameters: { tenant, prompt: 'none' },
    });
    expect(decodeJwt(silent.tokens.access_token)).toMatchObject({
      tenant_id: fixture[tenant].tenant_id,
      sub: fixture[tenant].users.alice,
    });
  }
});

test('a wrong secret is refused with 401 and WWW-Authenticate [A-046, RFC 6749 5.2]', async () => {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`acme-m2m:${secretOf('globex-m2m')}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toContain('Basic');
  expect(await response.json()).toMatchObject({ error: 'invalid_client' });
});
