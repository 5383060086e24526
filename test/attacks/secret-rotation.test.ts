import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { setClientStatus } from '#src/domain/clients/clients.ts';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Answer, expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let cluster: Cluster;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
  issuer = cluster.issuer;
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

/** Asks every node by itself, past the proxy. */
const onEachNode = (ask: (origin: string, headers: Record<string, string>) => Promise<Answer>) => {
  const headers = { 'x-forwarded-host': new URL(issuer).host, 'x-forwarded-for': '203.0.113.9' };
  return Promise.all(cluster.nodes.map(({ url }) => ask(url, headers)));
};
const statusOfEachNode = async (client_id: string, secret: string) =>
  (
    await onEachNode((origin, headers) =>
      call(`${origin}/token`, {
        form: { grant_type: 'client_credentials' },
        headers: { ...headers, ...basic(client_id, secret) },
      }),
    )
  ).map((answer) => {
    expectSafe(answer);
    return answer.status;
  });

/** Waits until every node answers so; the catalogue promises a fraction of a second. */
const untilEachNodeSays = (status: number, client_id: string, secret: string) =>
  eventually(async () => {
    const statuses = await statusOfEachNode(client_id, secret);
    return statuses.every((other) => other === status) || undefined;
  });

const inAcme = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);

describe('a client’s secret is replaced without downtime [A-060]', () => {
  const old = secretOf('acme-m2m');
  const fresh = 'the fresh secret of the machine';

  test('both live until the old one ends, on every node, and then only the new one', async () => {
    expect(await statusOfEachNode('acme-m2m', old)).toEqual([200, 200]);
    expect(await statusOfEachNode('acme-m2m', fresh)).toEqual([401, 401]);

    const retire_at = new Date(Date.now() + 3_000);
    await inAcme((tx) => addClientSecret(tx, 'acme-m2m', { secret: fresh, retire_at }));
    await untilEachNodeSays(200, 'acme-m2m', fresh);
    // Asked before its end and answered after it, it may be refused already.
    const overlap = await statusOfEachNode('acme-m2m', old);
    expect(Date.now() >= retire_at.getTime() || overlap.every((status) => status === 200)).toBe(true);

    await untilEachNodeSays(401, 'acme-m2m', old);
    expect(Date.now()).toBeGreaterThanOrEqual(retire_at.getTime());
    expect(await statusOfEachNode('acme-m2m', fresh)).toEqual([200, 200]);
  });

  test('a secret that is taken away is refused everywhere', async () => {
    await inAcme((tx) => tx.deleteFrom('client_secrets').where('client_id', '=', 'acme-m2m').execute());
    await untilEachNodeSays(401, 'acme-m2m', fresh);
  });
});

describe('a client that is switched off [A-060]', () => {
  test('is refused at every endpoint of every node, with all that it held, and comes back when it is on', async () => {
    const parameters = { resource: undefined, scope: 'openid email' };
    const { agent, config, tokens } = await completeFlow(issuer, 'acme-web', { parameters });
    const { url, checks } = await authorize(await discover(issuer, 'acme-web'));
    const callback = await browse(agent, url);
    const started = await authorize(config);
    const waiting = makeUserAgent();
    const login = await waiting.follow(await waiting.get(started.url.href));

    await inAcme((tx) => setClientStatus(tx, 'acme-web', 'disabled'));
    await eventually(async () => {
      const answers = await onEachNode((origin, headers) =>
        call(`${origin}/introspect`, {
          form: { token: 'x' },
          headers: { ...headers, ...basic('acme-web') },
        }),
      );
      return answers.every(({ status }) => status === 401) || undefined;
    });

    const code = callback.searchParams.get('code')!;
    const forms: [string, Record<string, string>][] = [
      ['/token', { grant_type: 'refresh_token', refresh_token: tokens.refresh_token! }],
      [
        '/token',
        { grant_type: 'authorization_code', code, redirect_uri, code_verifier: checks.pkceCodeVerifier },
      ],
      ['/par', { client_id: 'acme-web', redirect_uri, response_type: 'code', scope: 'openid' }],
      ['/introspect', { token: tokens.access_token }],
      ['/revoke', { token: tokens.access_token }],
    ];
    await expectUnchanged(fixture, async () => {
      for (const [path, form] of forms) {
        const answers = await onEachNode((origin, headers) =>
          call(origin + path, { form, headers: { ...headers, ...basic('acme-web') } }),
        );
        for (const answer of answers) {
          expectRefusal(answer, { status: 401, error: 'invalid_client' });
        }
      }
      const userinfo = await onEachNode((origin, headers) =>
        call(`${origin}/userinfo`, {
          headers: { ...headers, authorization: `Bearer ${tokens.access_token}` },
        }),
      );
      for (const answer of userinfo) {
        expectRefusal(answer, { status: 401, error: 'invalid_token' });
      }
      const page = await makeUserAgent().get(started.url.href);
      expectSafe(page);
      expect({ status: page.status, location: page.location }).toEqual({ status: 400, location: undefined });
      const posted = await waiting.submit(login, { email: 'alice@example.test', password: 'any' });
      expectSafe(posted);
      expect(posted.status).toBe(400);
    });

    await inAcme((tx) => setClientStatus(tx, 'acme-web', 'active'));
    await eventually(async () => {
      const answer = await call(`${issuer}/introspect`, {
        form: { token: tokens.access_token },
        headers: basic('acme-web'),
      });
      return answer.status === 200 || undefined;
    });
    const refreshed = await eventually(() =>
      client.refreshTokenGrant(config, tokens.refresh_token!).catch(() => undefined),
    );
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token);
  });
});
