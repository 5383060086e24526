import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { call } from '#test/support/call.ts';
import { type Answer, expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, resource } from '#test/support/fixture.ts';
import { browse, signIn } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms } from '#test/support/user-agent.ts';

/** Markup that would run, and templates that would show 49 or 7, in the syntax of several engines. */
const markup = [
  `"><svg/onload=1>`,
  `'><img src=x onerror=1>`,
  '</script><script>alert(1)</script>',
  '--><svg/onload=1>',
];
const templates = ['zq{{7*7}}qz', `zq$\{7*7}qz`, 'zq<%= 7*7 %>qz', 'zq#{7*7}qz', 'zq[[7*7]]qz'];
const hostile = [...markup, ...templates];
const hostileName = `Evil ${markup.join(' ')} ${templates.join(' ')}`;

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    const client = {
      first_party: false,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      redirect_uris: [redirect_uri],
      post_logout_redirect_uris: [],
      resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
    };
    await putClient(tx, { ...client, client_id: 'acme-evil', client_name: hostileName });
    const redirect_uris = ['https://a;sandbox/cb', 'https://a,sandbox/cb', 'https://b.test/cb'];
    await putClient(tx, { ...client, client_id: 'acme-hosts', client_name: 'Hosts', redirect_uris });
    await putClient(tx, {
      ...client,
      client_id: 'acme-link',
      client_name: 'Link',
      client_uri: 'javascript:alert(1)',
    });
  });
  // As somebody who may write the configuration, but means no good.
  const text = `'${hostileName.replaceAll("'", "''")}'`;
  await runStatements(fixture.urls.superUrl, [
    `update tenants set name = ${text} where slug = 'acme'`,
    `update users set name = ${text}`,
    `update resource_servers set name = ${text}`,
  ]);
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

function expectInert(answer: Answer): void {
  expectSafe(answer);
  const policy = answer.headers.get('content-security-policy')!;
  expect(policy).not.toMatch(/unsafe|\*|data: *;.*script|http:\/\/evil/);
  expect(answer.headers.get('set-cookie') ?? '').not.toMatch(/svg\/onload|svg%2fonload/i);
  if (answer.headers.get('content-type')?.startsWith('text/html')) {
    expect(answer.body).not.toMatch(/<svg\/onload|<img|<script>alert|onerror=1>|<%=/);
    expect(answer.body).not.toMatch(/zq(49|7)qz/);
    expect(answer.body).not.toMatch(/(?:href|action|src)="\s*(?:javascript|data:text|vbscript)/i);
  } else {
    // JSON and plain text are not sniffed into anything else.
    expect(answer.headers.get('content-type') ?? 'application/json').toMatch(
      /^(application\/json|text\/plain)/,
    );
  }
}

const request = (parameters: Record<string, string> = {}) => ({
  client_id: 'acme-evil',
  redirect_uri,
  response_type: 'code',
  scope: 'openid email read',
  resource,
  code_challenge: 'a'.repeat(43),
  code_challenge_method: 'S256',
  ...parameters,
});
const authorizationUrl = (parameters: Record<string, string> = {}) =>
  `${issuer}/auth?${new URLSearchParams(request(parameters))}`;

describe('hostile text', () => {
  const parameters = [
    ...[
      'client_id',
      'redirect_uri',
      'response_type',
      'response_mode',
      'scope',
      'state',
      'nonce',
      'prompt',
      'display',
    ],
    ...[
      'ui_locales',
      'claims_locales',
      'login_hint',
      'id_token_hint',
      'acr_values',
      'max_age',
      'claims',
      'resource',
    ],
    ...[
      'code_challenge',
      'code_challenge_method',
      'request',
      'request_uri',
      'registration',
      'tenant',
      'dpop_jkt',
    ],
    ...[
      'error',
      'error_description',
      'error_hint',
      'user_code',
      '"><svg/onload=1>',
      '__proto__',
      'constructor',
    ],
  ];

  test.each(parameters)('in %s of an authorization request comes out escaped [A-018]', async (name) => {
    for (const value of hostile) {
      for (const response_mode of ['query', 'form_post']) {
        const url = authorizationUrl({ response_mode, state: value, [name]: value });
        const agent = makeUserAgent();
        for (
          let page: Page | undefined = await agent.get(url);
          page;
          page = page.location?.startsWith(issuer) ? await agent.get(page.location) : undefined
        ) {
          expectInert(page);
          expect([200, 303, 400]).toContain(page.status);
        }
        expectInert(await call(url));
      }
    }
  });

  test('in the query, the fields and the fragments of hosted pages comes out escaped [A-018]', async () => {
    const agent = makeUserAgent();
    const login = await agent.follow(await agent.get(authorizationUrl({ login_hint: hostileName })));
    expectInert(login);
    for (const value of hostile) {
      const query = new URLSearchParams({ query: value, error: value, client_id: value, workspace: value });
      for (const path of [
        '/workspace',
        '/logout',
        '/logout/success',
        '/none',
        `/${encodeURIComponent(value)}`,
      ]) {
        expectInert(await makeUserAgent().get(`${issuer}${path}?${query}`));
      }
      for (const field of [
        'client_id',
        'tenant',
        'id_token_hint',
        'post_logout_redirect_uri',
        'state',
        'ui_locales',
        'logout_hint',
      ]) {
        const logout = new URLSearchParams({ client_id: 'acme-evil', [field]: value });
        expectInert(await makeUserAgent().get(`${issuer}/logout?${logout}`));
      }
      expectInert(await agent.post(`${issuer}/workspace`, { query: value, workspace: value }));
      expectInert(await agent.post(`${issuer}/logout/confirm`, { xsrf: value, logout: value }));
      const [form] = readForms(login.body);
      const action = new URL(form!.action, issuer).href;
      expectInert(await agent.post(action, { ...form!.fields, email: value, password: value }));
      expectInert(await agent.post(action, { csrf: value, email: value, password: value }));
      expectInert(await agent.post(`${issuer}/login/${encodeURIComponent(value)}`, { csrf: value }));
    }
  });

  test('in the headers of a request comes out escaped [A-018]', async () => {
    for (const value of hostile) {
      for (const name of [
        'user-agent',
        'accept-language',
        'origin',
        'referer',
        'accept',
        'x-request-id',
        'x-forwarded-for',
      ]) {
        for (const path of ['/', '/auth', '/none', '/workspace', '/logout']) {
          const answer = await call(issuer + path, { headers: { accept: 'text/html', [name]: value } });
          expectInert(answer);
          expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{12}$/);
        }
      }
    }
  });

  test('in the names of people, clients, tenants and resource servers comes out escaped [A-018, O-32]', async () => {
    const agent = makeUserAgent();
    const login = await agent.follow(await agent.get(authorizationUrl()));
    expectInert(login);
    expect(login.body).toContain('&lt;svg/onload=1&gt;');
    const consent = await signIn(agent, login);
    expect(consent.url).toContain('/consent/');
    expectInert(consent);
    expect(consent.body).toContain('&lt;svg/onload=1&gt;');
    const back = await agent.submit(consent, { decision: 'allow' });
    expect(back.location).toContain(`${redirect_uri}?code=`);

    const logout = await agent.get(`${issuer}/logout?client_id=acme-evil`);
    expectInert(logout);
    expect(logout.body).toContain('&lt;svg/onload=1&gt;');
    const left = await agent.submit(logout, { logout: 'yes' });
    expectInert(left);
    expect(left.url).toContain('/logout/success');
    expectInert(await agent.get(`${issuer}/logout/success?client_id=acme-evil`));
  });

  test('in a tenant’s name comes out escaped where somebody picks the tenant to sign out of [A-018]', async () => {
    const agent = makeUserAgent();
    for (const tenant of ['acme', 'globex']) {
      await browse(agent, new URL(authorizationUrl({ client_id: 'shared-web', tenant })));
    }
    const choice = await agent.get(`${issuer}/logout?${new URLSearchParams({ state: hostileName })}`);
    expect(choice.body).toContain('tenant=globex');
    expectInert(choice);
  });
});

test('a client whose link would run in the browser is unusable [A-018]', async () => {
  const page = await makeUserAgent().get(authorizationUrl({ client_id: 'acme-link' }));
  expectInert(page);
  expect(page.status).toBe(400);
  expect(page.location).toBeUndefined();
});

test('a client’s address adds nothing to the policy of a page but itself [A-018, O-33]', async () => {
  for (const [redirect_uri, targets] of [
    ['https://a;sandbox/cb', "form-action 'self';"],
    ['https://a,sandbox/cb', "form-action 'self';"],
    ['https://b.test/cb', "form-action 'self' https://b.test;"],
  ] as const) {
    const agent = makeUserAgent();
    const url = authorizationUrl({ client_id: 'acme-hosts', redirect_uri, scope: 'openid', resource: '' });
    const page = await agent.follow(await agent.get(url));
    expectInert(page);
    expect(page.url).toContain('/login/');
    const policy = page.headers.get('content-security-policy');
    expect(policy).toContain(targets);
    expect(policy).not.toContain('sandbox');
  }
});

describe('form_post', () => {
  test('carries state escaped, under a policy that runs its one script only [A-019, OAuth 2.0 Form Post Response Mode]', async () => {
    for (const value of [...hostile, `"><script>`]) {
      const agent = makeUserAgent();
      const login = await agent.follow(
        await agent.get(
          authorizationUrl({ client_id: 'acme-spa', response_mode: 'form_post', state: value }),
        ),
      );
      const page = await signIn(agent, login);
      expectInert(page);
      expect(page.status).toBe(200);
      const [form] = readForms(page.body);
      expect(form!.action).toBe(redirect_uri);
      expect(Object.keys(form!.fields).sort()).toEqual(['code', 'iss', 'state']);
      expect(form!.fields['state']).toBe(value);
      const scripts = [...page.body.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script]) => script!);
      expect(scripts).toHaveLength(1);
      const policy = page.headers.get('content-security-policy')!;
      expect(policy).toContain(`'sha256-${createHash('sha256').update(scripts[0]!).digest('base64')}'`);
      expect(policy).toMatch(/form-action 'self' http:\/\/localhost:4000(;|$)/);
    }
  });

  test('of an error goes to the registered redirect_uri, which the policy then allows [A-019]', async () => {
    const wrong: Record<string, string>[] = [
      { prompt: 'none' },
      { prompt: 'none login' },
      { scope: 'openid', prompt: 'unknown' },
      { code_challenge_method: 'plain' },
      { max_age: '-1' },
    ];
    for (const parameters of wrong) {
      const page = await makeUserAgent().get(
        authorizationUrl({ response_mode: 'form_post', state: `"><b>`, ...parameters }),
      );
      expectInert(page);
      const [form] = readForms(page.body);
      expect(form!.action).toBe(redirect_uri);
      expect(form!.fields).toMatchObject({ error: expect.any(String), state: `"><b>`, iss: issuer });
      expect(page.headers.get('content-security-policy')).toMatch(
        /form-action 'self' http:\/\/localhost:4000(;|$)/,
      );
    }
  });
});

test('every page has security headers of its own nonce, which changes [O-33]', async () => {
  const nonces = new Set<string>();
  const login = await makeUserAgent()
    .get(authorizationUrl())
    .then((page) => page.location!);
  for (const path of [
    '/',
    '/workspace',
    '/logout',
    '/none',
    '/auth',
    login.slice(issuer.length),
    '/consent/x',
    '/logout/success',
  ]) {
    const page = await makeUserAgent().get(issuer + path);
    expectInert(page);
    const [, nonce] = /'nonce-([^']+)'/.exec(page.headers.get('content-security-policy')!)!;
    nonces.add(nonce!);
    for (const [, tag] of page.body.matchAll(/<(?:style|script)\b([^>]*)>/g)) {
      expect(tag === '' || tag === ` nonce="${nonce}"`).toBe(true);
    }
  }
  expect(nonces.size).toBe(8);
});

test('an error page says nothing of the inside, and carries an id for the log [O-31]', async () => {
  const page = await makeUserAgent().get(authorizationUrl({ client_id: 'unknown' }));
  expectInert(page);
  const request_id = page.headers.get('x-request-id')!;
  expect(page.body).toContain(request_id);
  expect(page.body).not.toContain('client not found');
});
