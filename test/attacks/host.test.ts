import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Answer, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, discover } from '#test/support/flow.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, readForms } from '#test/support/user-agent.ts';

/** The node trusts one proxy, 127.0.0.1; 127.0.0.2 is a stranger that reaches the node directly. */
const proxy = '127.0.0.1';
const stranger = '127.0.0.2';
const discovery = '/.well-known/openid-configuration';

let fixture: Fixture;
let node: Node;
let issuer: string;
let host: string;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await putClient(tx, {
      client_id: 'acme-office',
      client_name: 'Office',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [],
      allowed_ips: ['203.0.113.0/24'],
    });
    await addClientSecret(tx, 'acme-office', { secret: secretOf('acme-office') });
  });
  node = await startNode(fixture, { env: { TRUSTED_PROXIES: proxy } });
  issuer = node.url;
  host = new URL(issuer).host;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

/** Every URL of a discovery document. */
const urlsOf = (body: string) =>
  Object.values(JSON.parse(body) as Record<string, unknown>).filter(
    (value): value is string => typeof value === 'string' && /^https?:/.test(value),
  );

function expectMisdirected(answer: Answer) {
  expect([400, 421]).toContain(answer.status);
  expect(answer.body).not.toContain('evil.test');
  // Node's own parser answers what is no HTTP at all, without a body.
  if (answer.body !== '') {
    expectSafe(answer);
  }
}

describe('Host', () => {
  const wrongHosts = () => [
    'evil.test',
    `evil.test:${new URL(issuer).port}`,
    `${host}@evil.test`,
    `evil.test@${host}`,
    `${host}.evil.test`,
    `${host}.`,
    host.replace('localhost', 'localhost.'),
    'localhost',
    'localhost:80',
    `${host}0`,
    `127.0.0.1:${new URL(issuer).port}`,
    `${host}, evil.test`,
    `${host} evil.test`,
    `${host}/evil`,
    `http://${host}`,
    '',
  ];

  test('of any other name is refused, and no document names it [A-002, M-1]', async () => {
    for (const name of wrongHosts()) {
      for (const path of [
        discovery,
        '/.well-known/oauth-authorization-server',
        '/jwks',
        '/',
        '/auth',
        '/workspace',
      ]) {
        expectMisdirected(await sendRaw(issuer, { lines: rawGet(path, name), from: stranger }));
      }
    }
  });

  test('sent twice is refused, in either order [A-002, RFC 9112 3.2]', async () => {
    for (const hosts of [
      [host, 'evil.test'],
      ['evil.test', host],
      [host, host],
    ]) {
      const lines = [`GET ${discovery} HTTP/1.1`, ...hosts.map((name) => `Host: ${name}`)];
      expectMisdirected(await sendRaw(issuer, { lines, from: stranger }));
    }
  });

  test('of the request target counts when that is a whole URL [A-002, RFC 9112 3.2.2]', async () => {
    expectMisdirected(
      await sendRaw(issuer, { lines: rawGet(`http://evil.test${discovery}`, host), from: stranger }),
    );
    expectMisdirected(
      await sendRaw(issuer, { lines: rawGet(`http://${host}@evil.test${discovery}`, host), from: stranger }),
    );
    const own = await sendRaw(issuer, { lines: rawGet(`${issuer}${discovery}`, host), from: stranger });
    expect(own.status).toBe(200);
    expect(urlsOf(own.body).every((url) => new URL(url).origin === issuer)).toBe(true);
  });

  test('of the issuer gives documents whose URLs all start with the issuer [A-002]', async () => {
    const answer = await sendRaw(issuer, { lines: rawGet(discovery, host), from: stranger });
    expectSafe(answer);
    expect(urlsOf(answer.body).length).toBeGreaterThan(8);
    expect(urlsOf(answer.body).filter((url) => new URL(url).origin !== issuer)).toEqual([]);
  });

  test('never reaches an interaction: neither by Host nor by the request target [A-004, M-1]', async () => {
    const { url } = await authorize(await discover(issuer, 'acme-web'));
    const path = url.pathname + url.search;
    await expectUnchanged(fixture, async () => {
      expectMisdirected(await sendRaw(issuer, { lines: rawGet(path, 'evil.test'), from: stranger }));
      expectMisdirected(
        await sendRaw(issuer, { lines: rawGet(`http://evil.test${path}`, host), from: stranger }),
      );
    });

    // The way back is stored with the interaction, so it shows in the last redirect of the sign-in.
    const agent = makeUserAgent();
    const page = await agent.get(url.href, { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'https' });
    expect(page.location).toMatch(new RegExp(`^${issuer}/login/`));
    const login = await agent.get(page.location!);
    const [form] = readForms(login.body);
    const posted = await agent.post(new URL(form!.action, issuer).href, {
      ...form!.fields,
      email: 'alice@example.test',
      password,
    });
    expect(posted.status).toBe(303);
    expect(posted.location).toMatch(new RegExp(`^${issuer}/auth/`));
  });

  test('of another server is no audience of a client assertion or a proof [M-1, O-41]', async () => {
    const body = new URLSearchParams({ grant_type: 'client_credentials' }).toString();
    const lines = [
      `POST http://evil.test/token HTTP/1.1`,
      `Host: ${host}`,
      'Content-Type: application/x-www-form-urlencoded',
      `Authorization: ${basic('acme-m2m')['authorization']}`,
    ];
    const answer = await sendRaw(issuer, { lines, body, from: stranger });
    expectMisdirected(answer);
    expect(answer.body).not.toContain('access_token');
  });
});

describe('forwarded headers', () => {
  const evil = {
    'X-Forwarded-Host': 'evil.test',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Port': '666',
    Forwarded: 'host=evil.test;proto=https;for=10.0.0.1',
    'X-Original-Host': 'evil.test',
    'X-Original-URL': '/jwks',
    'X-Rewrite-URL': '/jwks',
    'X-HTTP-Method-Override': 'DELETE',
  };

  test('of a stranger change nothing [A-002, O-06]', async () => {
    const plain = await sendRaw(issuer, { lines: rawGet(discovery, host), from: stranger });
    const forged = await sendRaw(issuer, {
      lines: rawGet(discovery, host, { ...evil, 'X-Forwarded-For': '10.0.0.1' }),
      from: stranger,
    });
    expectSafe(forged);
    expect(forged.body).toBe(plain.body);
  });

  test('of a stranger do not mend a wrong Host [A-002]', async () => {
    const headers = { 'X-Forwarded-Host': host, 'X-Forwarded-For': '10.0.0.1' };
    expectMisdirected(
      await sendRaw(issuer, { lines: rawGet(discovery, 'evil.test', headers), from: stranger }),
    );
  });

  test('of the trusted proxy may name the issuer, and nobody else [A-002, A-007]', async () => {
    const through = (name: string, forwarded: string) =>
      sendRaw(issuer, {
        lines: rawGet(discovery, name, { 'X-Forwarded-Host': forwarded, 'X-Forwarded-For': '198.51.100.7' }),
        from: proxy,
      });
    const named = await through('node-1.internal', host);
    expect(named.status).toBe(200);
    expect(urlsOf(named.body).filter((url) => new URL(url).origin !== issuer)).toEqual([]);
    expectMisdirected(await through(host, 'evil.test'));
    expectMisdirected(await through('node-1.internal', `${host}, evil.test`));
    expectMisdirected(await through('node-1.internal', 'node-1.internal'));
  });

  test('name the caller only when the proxy says so, by the right-most hop that is no proxy [A-007]', async () => {
    const ipOf = async (from: string, forwardedFor: string) => {
      const answer = await sendRaw(issuer, {
        lines: rawGet('/', host, { 'X-Forwarded-For': forwardedFor }),
        from,
      });
      const request_id = answer.headers.get('x-request-id');
      const line = await eventually(() =>
        node.log.find((entry) => entry['msg'] === 'request' && entry['request_id'] === request_id),
      );
      return line['ip'];
    };
    expect(await ipOf(stranger, '10.0.0.1')).toBe(stranger);
    expect(await ipOf(proxy, '10.0.0.1, 198.51.100.7')).toBe('198.51.100.7');
    expect(await ipOf(proxy, '10.0.0.1, 198.51.100.7, 127.0.0.1')).toBe('198.51.100.7');
  });

  const unreadable: [string, string][] = [
    ['empty', ''],
    ['no address', 'unknown'],
    ['a zone', '::1%eth0'],
    ['a port', '203.0.113.9:99'],
    ['a quote', '"'],
    ['brackets', '[203.0.113.9]'],
    ['other bytes', '203.0.113.9\u00e9\u00ff'],
    ['a thousand hops that end in none', `${'203.0.113.9,'.repeat(1_000)}x`],
  ];

  test.each(unreadable)(
    'that name the caller by %s let no rule by address be skipped [A-008, C-50]',
    async (_, value) => {
      const token = (client_id: string, forwardedFor: string, secret = secretOf(client_id)) =>
        sendRaw(issuer, {
          lines: [
            'POST /token HTTP/1.1',
            `Host: ${host}`,
            `X-Forwarded-For: ${forwardedFor}`,
            'Content-Type: application/x-www-form-urlencoded',
            `Authorization: ${basic(client_id, secret)['authorization']}`,
          ],
          body: 'grant_type=client_credentials',
          from: proxy,
        });
      expect((await token('acme-office', '203.0.113.9')).status).toBe(200);
      const refused = await token('acme-office', value);
      expectSafe(refused);
      expect(refused.status).toBe(401);
      expect((await token('acme-m2m', value)).status).toBe(200);
      expect((await token('acme-m2m', value, 'wrong-secret-of-nobody')).status).toBe(401);
    },
  );

  test('that are unreadable leave the sign-in what it is [A-008]', async () => {
    const { url } = await authorize(await discover(issuer, 'acme-web'));
    const headers = { 'x-forwarded-for': 'unknown, "' };
    const agent = makeUserAgent();
    const page = await agent.follow(await agent.get(url.href));
    const [form] = readForms(page.body);
    const post = (typed: string) =>
      agent.post(
        new URL(form!.action, issuer).href,
        { ...form!.fields, email: 'alice@example.test', password: typed },
        headers,
      );
    const wrong = await post('not the password');
    expectSafe(wrong);
    expect(wrong.status).toBe(401);
    const right = await post(password);
    expect(right.status).toBe(303);
    expect((await agent.follow(right)).location).toContain(`${redirect_uri}?code=`);
  });
});

test('a Referer is never a way back [A-016]', async () => {
  const { url } = await authorize(await discover(issuer, 'acme-web'));
  for (const referer of ['https://evil.test/', `${issuer}//evil.test`]) {
    for (const path of [
      url.href,
      `${issuer}/workspace`,
      `${issuer}/logout`,
      `${issuer}/login/none`,
      `${issuer}/none`,
    ]) {
      const answer = await call(path, { headers: { referer, accept: 'text/html' } });
      expectSafe(answer);
      expect(answer.body).not.toContain('evil.test');
      const location = answer.headers.get('location');
      expect(location === null || new URL(location, issuer).origin === issuer).toBe(true);
      expect(location ?? '').not.toContain('evil.test');
    }
  }
});
