import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { budgets } from '#src/budgets.ts';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, password, resource } from '#test/support/fixture.ts';
import { authorize, discover } from '#test/support/flow.ts';
import { isSignedIn, type LoginForm, openLogin } from '#test/support/login-form.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Cluster, type Node, startCluster, startNode } from '#test/support/server.ts';
import type { Page } from '#test/support/user-agent.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());

const bob = 'bob@example.test';
const wrong = (form: LoginForm, email = bob, headers: Record<string, string> = {}) =>
  form.send({ email, password: 'wrong horse battery staple' }, headers);

/** What differs from page to page whoever asks. */
const withoutChance = ({ body }: Page) =>
  body.replaceAll(/nonce="[^"]+"|<dd class="code">[^<]+|data-countdown="\d+"|\/login\/[\w-]+/g, '');

describe('one node that trusts no proxy', () => {
  let node: Node;
  beforeAll(async () => {
    node = await startNode(fixture);
  });
  afterAll(() => node?.stop());

  test('two hundred guesses from one peer count as such, whatever X-Forwarded-For says [A-007]', async () => {
    const form = await openLogin(node.url);
    const statuses: number[] = [];
    for (let i = 0; i < 200; i += 1) {
      statuses.push((await wrong(form, bob, { 'x-forwarded-for': `10.0.0.${i}` })).status);
    }
    expect(statuses.slice(0, 5)).toEqual([401, 401, 401, 401, 401]);
    expect(new Set(statuses.slice(5))).toEqual(new Set([429]));
    const lines = node.log.filter(({ status }) => status === 429);
    expect(new Set(lines.map(({ ip }) => ip))).toEqual(new Set(['127.0.0.1']));
  });

  test('the pause says how long, in words and in headers, and takes no right password [A-091]', async () => {
    const form = await openLogin(node.url);
    const page = await form.send({ email: bob, password });
    expect(page.status).toBe(429);
    const seconds = Number(page.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(600);
    expect(seconds).toBeLessThanOrEqual(900);
    expect(page.headers.get('ratelimit-policy')).toBe('"sign_in";q=5;w=900');
    expect(page.headers.get('ratelimit')).toBe(`"sign_in";r=0;t=${seconds}`);
    expect(page.body).toContain('Sign-in is paused');
    expect(page.body).toContain(`${Math.ceil(seconds / 60)} minutes`);
    expect(page.body).toContain(`href="${new URL(form.page.url).pathname}"`);
  });

  test('the pause is the same for an account that does not exist [A-089]', async () => {
    const form = await openLogin(node.url);
    const known = await wrong(form);
    let unknown = await wrong(form, 'nobody@example.test');
    for (let i = 0; i < 5; i += 1) {
      unknown = await wrong(form, 'nobody@example.test');
    }
    expect(unknown.status).toBe(429);
    expect(withoutChance(unknown)).toBe(withoutChance(known).replaceAll(/\d+ minutes/g, '15 minutes'));
    expect([...unknown.headers.keys()]).toEqual([...known.headers.keys()]);
  });

  test('the same account in another tenant is not paused [A-183]', async () => {
    const form = await openLogin(node.url, 'globex-web');
    expect(isSignedIn(await form.send({ email: bob, password }))).toBe(true);
  });
});

describe('one node behind a proxy', () => {
  let node: Node;
  beforeAll(async () => {
    node = await startNode(fixture, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  });
  afterAll(() => node?.stop());

  test.each([
    ['empty', ''],
    ['a word', 'unknown'],
    ['an address with a zone', '::1%eth0'],
    ['an address with a port', '1.2.3.4:99'],
    ['a quote', '"'],
    ['very many', '10.0.0.1,'.repeat(1_000)],
    ['not of ASCII', 'caf\u00e9'],
  ])('X-Forwarded-For is %s: nothing is skipped and nothing breaks [A-008]', async (_, value) => {
    const form = await openLogin(node.url);
    const headers = { 'x-forwarded-for': value };
    expect((await wrong(form, 'alice@example.test', headers)).status).toBe(401);
    expect(isSignedIn(await form.send({ email: 'alice@example.test', password }, headers))).toBe(true);
  });

  test('a /64 of IPv6 is one source, and so are the forms of an IPv4 address [A-097]', async () => {
    const form = await openLogin(node.url);
    const from = async (ip: string) => (await wrong(form, bob, { 'x-forwarded-for': ip })).status;
    for (const ip of ['2001:db8::1', '2001:db8::ffff:1', '2001:db8:0:0:5::', '2001:db8::9', '2001:DB8::a']) {
      expect(await from(ip)).toBe(401);
    }
    expect(await from('2001:db8::1234:5678')).toBe(429);
    expect(await from('2001:db8:0:1::1')).toBe(401);
    for (const ip of ['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207', '192.0.2.7', '::FFFF:192.0.2.7']) {
      expect(await from(ip)).toBe(401);
    }
    expect(await from('192.0.2.7')).toBe(429);
    expect(await from('192.0.2.8')).toBe(401);
  });

  test('neither store nor log shows what is counted [G-09]', async () => {
    const rows = await runStatements(fixture.urls.superUrl, ['select * from rate_limits']);
    expect(rows.length).toBeGreaterThan(3);
    expect(JSON.stringify(rows)).not.toMatch(/192\.0|2001|example|acme|127\.0/);
  });
});

describe('two nodes', () => {
  let cluster: Cluster;
  const env = {
    TRUSTED_PROXIES: '127.0.0.1',
    RATE_LIMITS: [
      'token_address=1000/10m',
      'token_client=30/10m',
      'token_tenant=60/10m',
      'par_client=20/10m',
      'password_check=10/10m',
      'api=40/10m',
    ].join(','),
  };
  beforeAll(async () => {
    cluster = await startCluster(fixture, 2, env);
  });
  afterAll(() => cluster?.stop());

  const restart = async (index: number) => {
    await cluster.nodes[index]!.stop();
    cluster.nodes[index] = await startNode(fixture, { issuer: cluster.issuer, env });
  };
  const askForToken = (client_id: string, headers = basic(client_id)) =>
    call(`${cluster.issuer}/token`, {
      headers,
      form: { grant_type: 'client_credentials', scope: 'read', resource },
    });
  const askUntilRefused = (client_id: string) =>
    eventually(async () => {
      const answer = await askForToken(client_id);
      return answer.status === 429 ? answer : undefined;
    });

  test('four wrong passwords, a restart of both, and the sixth is refused on either [A-094]', async () => {
    const email = 'carol@example.test';
    const form = await openLogin(cluster.issuer);
    for (let i = 0; i < 4; i += 1) {
      expect((await wrong(form, email)).status).toBe(401);
    }
    for (let i = 0; i < 10; i += 1) {
      expect((await wrong(form, `random${i}@example.test`)).status).toBe(401);
    }
    await restart(0);
    await restart(1);
    expect((await wrong(form, email)).status).toBe(401);
    expect((await wrong(form, email)).status).toBe(429);
    expect((await wrong(form, email)).status).toBe(429);
  });

  test('a client gets its tokens a minute from all nodes together, and JSON that says when more [A-202]', async () => {
    const refused = await askUntilRefused('acme-m2m');
    expect(JSON.parse(refused.body)).toEqual({
      error: 'too_many_requests',
      error_description: 'too many requests for now',
    });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(500);
    expect(refused.headers.get('ratelimit-policy')).toBe('"token_client";q=30;w=600');
    expect(refused.headers.get('cache-control')).toBe('no-store');
    // Both refuse, though neither alone gave as many.
    await eventually(async () => {
      const answers = await Promise.all(Array.from({ length: 4 }, () => askForToken('acme-m2m')));
      return answers.every(({ status }) => status === 429) || undefined;
    });
    expect((await askForToken('globex-m2m')).status).toBe(200);
    await restart(0);
    await askUntilRefused('acme-m2m');
  });

  test('who has no secret takes nothing from the budget of a client', async () => {
    for (let i = 0; i < 60; i += 1) {
      expect((await askForToken('globex-m2m', basic('globex-m2m', 'guessed'))).status).toBe(401);
    }
    expect((await askForToken('globex-m2m')).status).toBe(200);
  });

  test('pushed requests of a client are limited, those without its secret count for nobody', async () => {
    const code_challenge = 'x'.repeat(43);
    const push = (secret?: string) =>
      call(`${cluster.issuer}/par`, {
        headers: basic('acme-web', secret),
        form: {
          client_id: 'acme-web',
          response_type: 'code',
          redirect_uri: 'http://localhost:4000/callback',
          scope: 'openid',
          code_challenge,
          code_challenge_method: 'S256',
        },
      });
    for (let i = 0; i < 30; i += 1) {
      expect((await push('guessed')).status).toBe(401);
    }
    expect((await push()).status).toBe(201);
    const refused = await eventually(async () => {
      const answer = await push();
      return answer.status === 429 ? answer : undefined;
    });
    expect(refused.headers.get('ratelimit-policy')).toBe('"par_client";q=20;w=600');
  });

  test('the judge of passwords answers so often and no more', async () => {
    const form = await openLogin(cluster.issuer);
    const check = () => form.agent.post(`${form.page.url}/password/check`, { new_password: 'x' });
    const refused = await eventually(async () => {
      const answer = await check();
      return answer.status === 429 ? answer : undefined;
    });
    expect(refused.headers.get('ratelimit-policy')).toBe('"password_check";q=10;w=600');
    expect((await form.agent.get(form.page.url)).status).toBe(200);
  });

  test('routes that are still to come are limited by their prefix, and a person gets a page', async () => {
    const untilRefused = (path: string) =>
      eventually(async () => {
        const answer = await call(`${cluster.issuer}${path}`, { headers: { accept: 'text/html' } });
        return answer.status === 429 ? answer : undefined;
      });
    const refused = await untilRefused('/api/v1/users');
    expect(refused.body).toContain('Too many requests');
    expect(refused.headers.get('content-security-policy')).toContain("default-src 'none'");
    await untilRefused('/API/v1/');
    await untilRefused('/api/');
    expect((await call(`${cluster.issuer}/jwks`)).status).toBe(200);
  });

  test('an authorization request goes on', async () => {
    const { url } = await authorize(await discover(cluster.issuer, 'acme-web'));
    expect((await call(url.href)).status).toBe(303);
  });
});

test('docs/rate-limits.md says of every limit what the table says [ASVS 6.1.1]', () => {
  const text = readFileSync(new URL('../../docs/rate-limits.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| ([\d,]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
    ([, name, points, window, per, counts]) => [name, points, window, per, counts],
  );
  const expected = Object.entries(budgets).map(([name, { points, seconds, per, counts }]) => [
    name,
    points.toLocaleString('en'),
    seconds % 3_600 === 0 ? `${seconds / 3_600} h` : `${seconds / 60} min`,
    per,
    counts,
  ]);
  expect(rows).toEqual(expected);
});
