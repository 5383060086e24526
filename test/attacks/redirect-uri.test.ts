import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { basic, call } from '#test/support/call.ts';
import { type Answer, expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { redirectUriVariants, registered_uri } from '#test/support/redirect-uris.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
/** Somebody who is signed in, so that a redirect would carry a code. */
let victim: UserAgent;

const second_uri = 'https://app.test/other';

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    const client = {
      client_name: 'Exact',
      first_party: true,
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'client_secret_basic',
    };
    await putClient(tx, { ...client, client_id: 'acme-exact', redirect_uris: [registered_uri] });
    await putClient(tx, { ...client, client_id: 'acme-two', redirect_uris: [registered_uri, second_uri] });
    for (const [i, uri] of [
      'javascript:alert(1)//',
      'data:text/html,x',
      'vbscript:x',
      'file:///cb',
    ].entries()) {
      await putClient(tx, { ...client, client_id: `acme-scheme-${i}`, redirect_uris: [uri] });
    }
    for (const client_id of ['acme-exact', 'acme-two']) {
      await addClientSecret(tx, client_id, { secret: secretOf(client_id) });
    }
  });
  node = await startNode(fixture);
  issuer = node.url;
  victim = (await completeFlow(issuer, 'acme-web')).agent;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const request = (parameters: Record<string, string>, client_id = 'acme-exact') =>
  new URLSearchParams({
    client_id,
    response_type: 'code',
    scope: 'openid',
    state: 'state-of-the-attack',
    code_challenge: 'a'.repeat(43),
    code_challenge_method: 'S256',
    ...parameters,
  });

function expectErrorPage(page: Page) {
  expectSafe(page);
  expect(page.status).toBe(400);
  expect(page.headers.get('location')).toBeNull();
  expect(page.headers.get('refresh')).toBeNull();
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.body).not.toMatch(/http-equiv|<form|<a /);
  expect(page.headers.get('content-security-policy')).toContain("form-action 'self';");
}

const push = (body: URLSearchParams): Promise<Answer> =>
  call(`${issuer}/par`, {
    body: body.toString(),
    headers: { ...basic('acme-exact'), 'content-type': 'application/x-www-form-urlencoded' },
  });

describe('redirect_uri', () => {
  test('that is registered works at both endpoints [control]', async () => {
    const page = await victim.get(`${issuer}/auth?${request({ redirect_uri: registered_uri })}`);
    expect(page.location).toContain(`${registered_uri}?code=`);
    expect((await push(request({ redirect_uri: registered_uri }))).status).toBe(201);
  });

  test('other than the registered one, character by character, is an error page, 44 of 44 [A-009, RFC 9700 4.1.3]', async () => {
    expect(new Set(redirectUriVariants).size).toBe(44);
    const refuseAll = async (agent: UserAgent) => {
      for (const redirect_uri of redirectUriVariants) {
        for (const response_mode of ['query', 'form_post']) {
          expectErrorPage(await agent.get(`${issuer}/auth?${request({ redirect_uri, response_mode })}`));
        }
      }
      expectErrorPage(await agent.get(`${issuer}/auth?${request({})}&redirect_uri[]=${registered_uri}`));
    };
    await refuseAll(victim);
    await expectUnchanged(fixture, () => refuseAll(makeUserAgent()));
  });

  test('of that list cannot be pushed either [A-009, RFC 9126 2.3]', async () => {
    await expectUnchanged(fixture, async () => {
      for (const redirect_uri of redirectUriVariants) {
        expectRefusal(await push(request({ redirect_uri })), { status: 400, error: 'invalid_request' });
      }
      const array = request({ 'redirect_uri[]': registered_uri });
      expectRefusal(await push(array), { status: 400, error: 'invalid_request' });
    });
  });

  test('is no way out when another parameter is wrong, too [A-009]', async () => {
    const broken: Record<string, string>[] = [
      { response_type: 'none' },
      { response_mode: 'fragment' },
      { prompt: 'none login' },
      { code_challenge: 'x' },
      { request: 'x' },
      { registration: 'x' },
      { scope: '\u0000' },
      { resource: 'https://evil.test' },
    ];
    for (const parameters of broken) {
      for (const redirect_uri of ['https://evil.test/cb', 'javascript:alert(1)', '//evil.test']) {
        expectErrorPage(await victim.get(`${issuer}/auth?${request({ redirect_uri, ...parameters })}`));
      }
    }
  });

  test('must be sent, though only one is registered [A-010, O-13]', async () => {
    expectErrorPage(await victim.get(`${issuer}/auth?${request({})}`));
    expectRefusal(await push(request({})), { status: 400, error: 'invalid_request' });
  });

  test('sent twice is refused, in one place or in two [A-011, RFC 6749 3.1]', async () => {
    const evil = encodeURIComponent('https://evil.test/cb');
    const good = request({ redirect_uri: registered_uri });
    for (const query of [`${good}&redirect_uri=${evil}`, `redirect_uri=${evil}&${good}`, `${good}&${good}`]) {
      expectErrorPage(await victim.get(`${issuer}/auth?${query}`));
      expectErrorPage(await victim.follow(await victim.post(`${issuer}/auth`, query)));
    }
    for (const [query, body] of [
      [good, `redirect_uri=${evil}`],
      [`redirect_uri=${evil}`, good],
    ]) {
      const bridge = await victim.post(`${issuer}/auth?${query}`, String(body));
      expectSafe(bridge);
      expect(bridge.status).toBe(303);
      expectErrorPage(await victim.follow(bridge));
    }
    const pushed = request({ redirect_uri: registered_uri });
    pushed.append('redirect_uri', 'https://evil.test/cb');
    expectRefusal(await push(pushed), { status: 400, error: 'invalid_request' });
  });

  test('of a scheme that runs or reads in the browser makes the client unusable [A-019, RFC 8252 7.1]', async () => {
    for (const [i, redirect_uri] of [
      'javascript:alert(1)//',
      'data:text/html,x',
      'vbscript:x',
      'file:///cb',
    ].entries()) {
      expectErrorPage(await victim.get(`${issuer}/auth?${request({ redirect_uri }, `acme-scheme-${i}`)}`));
    }
  });
});

describe('a code', () => {
  const other: [string, string | undefined][] = [
    ['missing', undefined],
    ['of another case', 'https://app.test/CB'],
    ['another registered one', second_uri],
    ['empty', ''],
    ['with a slash more', `${registered_uri}/`],
  ];

  test.each(other)(
    'is not given for a redirect_uri that is %s [A-012, RFC 6749 4.1.3]',
    async (_, redirect_uri) => {
      const config = await discover(issuer, 'acme-two');
      const { url, checks } = await authorize(config, {
        redirect_uri: registered_uri,
        scope: 'openid',
        resource: undefined,
      });
      const callback = await browse(victim, url);
      const redeem = (uri: string | undefined) =>
        call(`${issuer}/token`, {
          form: {
            grant_type: 'authorization_code',
            code: callback.searchParams.get('code')!,
            code_verifier: checks.pkceCodeVerifier,
            redirect_uri: uri,
          },
          headers: basic('acme-two'),
        });
      const refused = await redeem(redirect_uri);
      const error = redirect_uri ? 'invalid_grant' : 'invalid_request';
      expectRefusal(refused, { status: 400, error });
      expect((await redeem(registered_uri)).status).toBe(200);
    },
  );
});

describe('hosted pages', () => {
  const targets = [
    '//evil.test',
    '/\\evil.test',
    '/%09/evil.test',
    '\\evil.test',
    'https:evil.test',
    'https://evil.test/',
    '/..//evil.test',
    'javascript:alert(1)',
    '/%2f%2fevil.test',
    '?@evil.test',
    '@evil.test',
    '.evil.test',
    '/login/of-another-tenant',
    '\r\nLocation: https://evil.test/',
  ];
  const names = [
    'return_to',
    'returnTo',
    'next',
    'continue',
    'redirect',
    'redirect_uri',
    'url',
    'query',
    'tenant',
  ];

  function expectHome(page: Page) {
    expectSafe(page);
    if (page.location !== undefined) {
      const { origin, pathname } = new URL(page.location);
      expect(origin).toBe(issuer);
      expect(pathname).toMatch(/^\/(login|consent|auth|workspace|logout)(\/|$)/);
    }
    for (const { action } of readForms(page.body)) {
      expect(new URL(action, page.url).origin).toBe(issuer);
    }
  }

  test('follow no parameter to another place [A-013]', async () => {
    const agent = makeUserAgent();
    const { url } = await authorize(await discover(issuer, 'acme-web'));
    const login = await agent.follow(await agent.get(url.href));
    for (const target of targets) {
      const query = new URLSearchParams(names.map((name): [string, string] => [name, target]));
      expectHome(await agent.get(`${login.url}?${query}`));
      expectHome(await makeUserAgent().get(`${issuer}/workspace?${query}`));
      expectHome(await makeUserAgent().get(`${issuer}/logout?${query}`));
    }
    const [form] = readForms(login.body);
    const fields = new URLSearchParams({
      ...form!.fields,
      ...Object.fromEntries(names.map((name) => [name, 'https://evil.test/'])),
      email: 'alice@example.test',
      password,
    });
    const back = await agent.post(new URL(form!.action, issuer).href, fields);
    expect(back.location).toMatch(new RegExp(`^${issuer}/auth/[\\w-]+$`));
    expect((await agent.follow(back)).location).toContain(`${redirect_uri}?code=`);
  });

  test('lead from the workspace page to the authorization endpoint and nowhere else [A-013]', async () => {
    for (const target of targets) {
      for (const query of [
        target,
        `client_id=shared-web&redirect_uri=${target}`,
        `client_id=shared-web${target}`,
      ]) {
        const agent = makeUserAgent();
        expectHome(await agent.get(`${issuer}/workspace?${new URLSearchParams({ query })}`));
        const page = await agent.post(`${issuer}/workspace`, { query, workspace: 'acme' });
        expectHome(page);
        const end = await agent.follow(page);
        expectHome(end);
        expect(end.location).toBeUndefined();
      }
    }
  });

  test('answer a form with 303, so that credentials are never sent on [A-017, RFC 9700 4.12]', async () => {
    const agent = makeUserAgent();
    const { url } = await authorize(await discover(issuer, 'shared-web'));
    const workspace = await agent.follow(await agent.post(`${issuer}/auth`, url.searchParams));
    const statuses: number[] = [];
    let page = await agent.post(`${issuer}/workspace`, {
      ...readForms(workspace.body)[0]!.fields,
      workspace: 'acme',
    });
    for (; page.location?.startsWith(issuer); page = await agent.get(page.location)) {
      statuses.push(page.status);
    }
    const [form] = readForms(page.body);
    page = await agent.post(new URL(form!.action, issuer).href, {
      ...form!.fields,
      email: 'alice@example.test',
      password,
    });
    for (; page.location?.startsWith(issuer); page = await agent.get(page.location)) {
      statuses.push(page.status);
    }
    statuses.push(page.status);
    expect(page.location).toContain(`${redirect_uri}?code=`);
    expect(statuses).toEqual(statuses.map(() => 303));
    expect(statuses.length).toBeGreaterThan(3);
  });
});
