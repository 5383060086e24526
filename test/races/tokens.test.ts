import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, SignJWT } from 'jose';
import type * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { createFixture, type Fixture, redirect_uri, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Answer, basic, outcome, race, tally } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent, type UserAgent } from '#test/support/user-agent.ts';

const rounds = 50;

let fixture: Fixture;
let cluster: Cluster;
let agent: UserAgent;
let config: client.Configuration;
let proofKey: GenerateKeyPairResult;

beforeAll(async () => {
  fixture = await createFixture();
  await addMachines();
  proofKey = await generateKeyPair('ES256');
  cluster = await startCluster(fixture);
  agent = makeUserAgent();
  ({ config } = await completeFlow(cluster.issuer, 'acme-web', { agent }));
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

/** Machines of acme beside those of the fixture: one that must prove its key, one that signs its assertions. */
async function addMachines() {
  const [{ jwks }] = (await runStatements(fixture.urls.superUrl, [
    `select jwks from clients where client_id = 'acme-pk'`,
  ])) as [{ jwks: unknown }];
  const machine = {
    client_name: 'Machine',
    grant_types: ['client_credentials'],
    resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
  };
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await putClient(tx, {
      ...machine,
      client_id: 'acme-dpop',
      token_endpoint_auth_method: 'client_secret_basic',
      dpop_bound_access_tokens: true,
    });
    await addClientSecret(tx, 'acme-dpop', { secret: secretOf('acme-dpop') });
    await putClient(tx, {
      ...machine,
      client_id: 'acme-assertion',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: JSON.stringify(jwks),
    });
  });
}

async function makeProof(htm: string, path: string, access_token?: string): Promise<string> {
  const ath = access_token && createHash('sha256').update(access_token).digest('base64url');
  return new SignJWT({ htm, htu: `${cluster.issuer}${path}`, jti: randomUUID(), ...(ath ? { ath } : {}) })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(proofKey.publicKey) })
    .setIssuedAt()
    .sign(proofKey.privateKey);
}

const credentials = basic('acme-web', secretOf('acme-web'));
const winnerOf = (answers: Answer[]) =>
  answers.find(({ status }) => status === 200)!.json as Record<string, string>;

/** A code of the live session, and the form that redeems it. */
async function silentCode(): Promise<Record<string, string>> {
  const { url, checks } = await authorize(config, {
    prompt: 'none',
    scope: 'openid email',
    resource: undefined,
  });
  const callback = await browse(agent, url);
  return {
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code')!,
    redirect_uri,
    code_verifier: checks.pkceCodeVerifier,
  };
}

async function redeem(form: Record<string, string>): Promise<Record<string, string>> {
  const response = await fetch(`${cluster.issuer}/token`, {
    method: 'POST',
    headers: credentials,
    body: new URLSearchParams(form),
  });
  return (await response.json()) as Record<string, string>;
}

/** Rows that could still be presented: refresh tokens not used, access tokens, codes not used, and grants. */
async function liveRows(): Promise<Record<string, unknown>[]> {
  return runStatements(fixture.urls.superUrl, [
    `select model, count(*)::int from protocol_store
     where consumed_at is null and model in ('AuthorizationCode', 'AccessToken', 'RefreshToken', 'Grant')
     group by model`,
  ]);
}

async function expectDead({ access_token, refresh_token }: Record<string, string>) {
  const refreshed = await redeem({ grant_type: 'refresh_token', refresh_token: refresh_token! });
  expect(refreshed).toMatchObject({ error: 'invalid_grant' });
  const userinfo = await fetch(`${cluster.issuer}/userinfo`, {
    headers: { authorization: `Bearer ${access_token}` },
  });
  expect(userinfo.status).toBe(401);
  expect(await liveRows()).toEqual([]);
}

describe('of 20 at once over two nodes exactly one', () => {
  test('redeems an authorization code, and the reuse leaves nothing alive [A-020, RFC 6749 4.1.2]', async () => {
    for (let round = 0; round < rounds; round++) {
      const form = await silentCode();
      const answers = await race(cluster, { path: '/token', headers: credentials, form });
      expect(tally(answers, outcome)).toEqual({ 200: 1, '400 invalid_grant': 19 });
      await expectDead(winnerOf(answers));
    }
  });

  test('rotates a refresh token, and the reuse kills the family [A-062, RFC 9700 4.14.2]', async () => {
    for (let round = 0; round < rounds; round++) {
      const { refresh_token } = await redeem(await silentCode());
      const form = { grant_type: 'refresh_token', refresh_token: refresh_token! };
      const answers = await race(cluster, { path: '/token', headers: credentials, form });
      expect(tally(answers, outcome)).toEqual({ 200: 1, '400 invalid_grant': 19 });
      await expectDead(winnerOf(answers));
    }
  });

  test('uses the newest refresh token while a thief tries the one before it: no error, and the family dies [A-062]', async () => {
    for (let round = 0; round < rounds; round++) {
      const first = await redeem(await silentCode());
      const second = await redeem({ grant_type: 'refresh_token', refresh_token: first['refresh_token']! });
      const request = (refresh_token: string) => ({
        path: '/token',
        headers: credentials,
        form: { grant_type: 'refresh_token', refresh_token },
      });
      // Neighbours in the list meet different nodes, so each token is tried on both.
      const answers = await race(
        cluster,
        Array.from({ length: 20 }, (_, index) =>
          request((Math.floor(index / 2) % 2 ? first : second)['refresh_token']!),
        ),
      );
      const { 200: won = 0, ...lost } = tally(answers, outcome);
      expect(lost).toEqual({ '400 invalid_grant': 20 - won });
      expect(won).toBeLessThanOrEqual(1);
      await expectDead(won ? winnerOf(answers) : second);
    }
  });

  test('passes with one DPoP proof at the token endpoint [A-054, RFC 9449 11.1]', async () => {
    for (let round = 0; round < rounds; round++) {
      const dpop = await makeProof('POST', '/token');
      const answers = await race(cluster, {
        path: '/token',
        headers: { ...basic('acme-dpop', secretOf('acme-dpop')), dpop },
        form: { grant_type: 'client_credentials' },
      });
      expect(tally(answers, outcome)).toEqual({ 200: 1, '400 invalid_grant': 19 });
      expect(winnerOf(answers)).toMatchObject({ token_type: 'DPoP' });
    }
  });

  test('passes with one DPoP proof at userinfo [A-054, RFC 9449 7.1]', async () => {
    const response = await fetch(`${cluster.issuer}/token`, {
      method: 'POST',
      headers: { ...credentials, dpop: await makeProof('POST', '/token') },
      body: new URLSearchParams(await silentCode()),
    });
    const { access_token } = (await response.json()) as { access_token: string };
    for (let round = 0; round < rounds; round++) {
      const dpop = await makeProof('GET', '/userinfo', access_token);
      const answers = await race(cluster, {
        path: '/userinfo',
        headers: { accept: 'application/json', authorization: `DPoP ${access_token}`, dpop },
      });
      expect(tally(answers, outcome)).toEqual({ 200: 1, '401 invalid_token': 19 });
    }
  });

  test('passes with one client assertion [A-049, RFC 7523 3]', async () => {
    for (let round = 0; round < rounds; round++) {
      const client_assertion = await new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', kid: 'client-key' })
        .setIssuer('acme-assertion')
        .setSubject('acme-assertion')
        .setAudience(cluster.issuer)
        .setIssuedAt()
        .setExpirationTime('1m')
        .setJti(randomUUID())
        .sign(fixture.clientKey);
      const answers = await race(cluster, {
        path: '/token',
        form: {
          grant_type: 'client_credentials',
          client_id: 'acme-assertion',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion,
        },
      });
      expect(tally(answers, outcome)).toEqual({ 200: 1, '401 invalid_client': 19 });
    }
  });
});
