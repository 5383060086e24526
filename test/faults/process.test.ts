import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { type Balancer, startBalancer } from '#test/support/balancer.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, discover, signIn } from '#test/support/flow.ts';
import { basic } from '#test/support/race.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let balancer: Balancer;
let nodes: Node[] = [];

beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());
afterEach(async () => {
  balancer?.stop();
  await Promise.all(nodes.map((node) => node.kill()));
});

describe('a process that is killed', () => {
  const start = () => startNode(fixture, { issuer: balancer.url, env: { TRUSTED_PROXIES: '127.0.0.1' } });

  test.each(['sign-in page', 'consent page', 'resumption', 'code'])(
    'leaves an interaction that the other node finishes, killed at the %s [A-221, F-07]',
    async (moment) => {
      balancer = await startBalancer();
      nodes = [await start(), await start()];
      await balancer.use(nodes);
      const agent = makeUserAgent();
      const config = await discover(balancer.url, 'acme-third');
      const { url, checks } = await authorize(config, { prompt: 'consent' });
      const killAt = async (place: string) => {
        if (place === moment) {
          await nodes[0]!.kill();
        }
      };

      const signInPage = await agent.follow(await agent.get(url.href));
      await killAt('sign-in page');
      const consentPage = await signIn(agent, signInPage);
      await killAt('consent page');
      const [form] = [consentPage.body.match(/name="csrf" value="([^"]+)"/)![1]!];
      const allowed = await agent.post(consentPage.url, { csrf: form, decision: 'allow' });
      await killAt('resumption');
      const callback = await agent.follow(allowed);
      await killAt('code');
      const tokens = await client.authorizationCodeGrant(config, new URL(callback.location!), checks);
      expect(tokens.access_token).toEqual(expect.any(String));
    },
  );
});

describe('a process that is told to end under load', () => {
  const issuer = 'https://id.example.test';
  const start = () =>
    startNode(fixture, { issuer, env: { NODE_ENV: 'production', TRUSTED_PROXIES: '127.0.0.1' } });

  test('fails no request behind a balancer that asks for readiness, and exits with 0, told twice [A-220, F-06, G-12]', async () => {
    balancer = await startBalancer({ host: 'id.example.test' });
    nodes = [await start(), await start()];
    await balancer.use(nodes);
    const statuses = new Map<number, number>();
    let running = true;
    const workers = Array.from({ length: 8 }, async (_, index) => {
      while (running) {
        const response =
          index % 4 === 0
            ? await fetch(`${balancer.url}/jwks`)
            : await fetch(`${balancer.url}/token`, {
                method: 'POST',
                headers: basic('acme-m2m', secretOf('acme-m2m')),
                body: new URLSearchParams({ grant_type: 'client_credentials', resource }),
              });
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        await response.arrayBuffer();
      }
    });

    for (const index of [0, 1]) {
      const [node, other] = [nodes[index]!, nodes[1 - index]!];
      const exited = once(node.process, 'exit');
      node.process.kill('SIGTERM');
      await eventually(() => balancer.ready() === 1 || undefined);
      // Whoever has not heard of it yet is served, and told not to ask here again.
      const late = await fetch(`${node.url}/healthz`);
      expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
      node.process.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
      nodes = index === 0 ? [await start(), other] : [other, await start()];
      await balancer.use(nodes);
      await eventually(() => balancer.ready() === 2 || undefined);
    }
    running = false;
    await Promise.all(workers);

    expect(balancer.failures).toEqual([]);
    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(500);
  });
});
