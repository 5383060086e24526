import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { basic, call } from '#test/support/call.ts';
import { obtainCode, redeem } from '#test/support/code.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri } from '#test/support/fixture.ts';
import { completeFlow, signIn } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let insider: Insider;
let issuer: string;
/** Somebody who is signed in. */
let agent: UserAgent;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    tx
      .updateTable('clients')
      .set({ response_modes: ['query'] })
      .where('client_id', '=', 'acme-third')
      .execute(),
  );
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  insider = await makeInsider(fixture);
  issuer = node.url;
  agent = (await completeFlow(issuer, 'acme-web')).agent;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const code_verifier = 'v'.repeat(43);
const code_challenge = createHash('sha256').update(code_verifier).digest('base64url');

const request = (parameters: Record<string, string> = {}) =>
  new URLSearchParams({
    client_id: 'acme-web',
    redirect_uri,
    response_type: 'code',
    scope: 'openid',
    code_challenge,
    code_challenge_method: 'S256',
    ...parameters,
  });

const push = (body: URLSearchParams) =>
  call(`${issuer}/par`, {
    body: body.toString(),
    headers: { ...basic('acme-web'), 'content-type': 'application/x-www-form-urlencoded' },
  });

/** The parameters that the client gets back, in the query or the fragment. */
function answerOf(page: Page): URLSearchParams {
  expectSafe(page);
  expect(page.location).toContain(redirect_uri);
  const { search, hash } = new URL(page.location!);
  return new URLSearchParams(search || hash.slice(1));
}

async function ask(parameters: Record<string, string>, browser = agent): Promise<URLSearchParams> {
  return answerOf(await browser.follow(await browser.get(`${issuer}/auth?${request(parameters)}`)));
}

describe('state and nonce', () => {
  const values: [string, string][] = [
    ['of 64 characters', 's'.repeat(64)],
    ['of 384 characters', 's'.repeat(384)],
    ['of 2,000 characters', `${'s'.repeat(1_999)}e`],
    ['of percent signs', '%%20%2B%25%zz%'],
    ['of plus signs and blanks', '+a + b+ '],
    ['of emoji', '👩‍👩‍👧‍👦🏳️‍🌈'.repeat(20)],
    ['of delimiters', '&=#?/&amp;;code=x&state=y#z'],
    ['of quotes and brackets', `"'<>\`{}[]()\\`],
    ['of line ends', 'a\r\nSet-Cookie: a=b\r\n\r\n<b>'],
    ['of JSON', '{"__proto__":{"x":1}}'],
  ];

  test.each(values)('%s come back as they were sent [A-027, RFC 6749 4.1.2]', async (_, value) => {
    const nonceOf = async (code: string) => {
      const answer = await redeem(issuer, { client_id: 'acme-web', code, code_verifier });
      return decodeJwt(JSON.parse(answer.body).id_token)['nonce'];
    };
    const query = request({ state: value, nonce: value });
    const { request_uri } = JSON.parse((await push(query)).body);
    for (const page of [
      await agent.get(`${issuer}/auth?${query}`),
      await agent.follow(await agent.post(`${issuer}/auth`, query)),
      await agent.get(`${issuer}/auth?${new URLSearchParams({ client_id: 'acme-web', request_uri })}`),
    ]) {
      const answer = answerOf(page);
      expect([...answer.keys()].sort()).toEqual(['code', 'iss', 'state']);
      expect(answer.get('state')).toBe(value);
      expect(await nonceOf(answer.get('code')!)).toBe(value);
    }

    query.set('response_mode', 'form_post');
    const form = readForms((await agent.get(`${issuer}/auth?${query}`)).body)[0]!;
    // A form sends every line end as CR LF.
    expect(form.fields['state']).toBe(value);
    expect((await ask({ state: value, prompt: 'none' }, makeUserAgent())).get('state')).toBe(value);
  });

  test('that were not sent are not invented [A-028]', async () => {
    const code = await obtainCode(issuer, 'acme-web', {
      agent,
      parameters: { state: undefined, nonce: undefined },
    });
    const { id_token } = JSON.parse((await redeem(issuer, code)).body);
    expect(decodeJwt(id_token)).not.toHaveProperty('nonce');
    expect((await ask({})).has('state')).toBe(false);
    expect((await ask({ prompt: 'none' }, makeUserAgent())).has('state')).toBe(false);
  });
});

describe('response_type', () => {
  test.each([
    'token',
    'id_token',
    'code id_token',
    'code token',
    'code id_token token',
    'none',
    'CODE',
    'code code',
    ' code',
    'code ',
    'x',
  ])('"%s" is unsupported [A-029, O-09, RFC 6749 4.1.2.1]', async (response_type) => {
    const answer = await ask({ response_type, nonce: 'n' });
    // What would bring a token by the fragment is refused for that already.
    const refusals = [
      'unsupported_response_type',
      ...(response_type.includes('token') ? ['invalid_request'] : []),
    ];
    expect(refusals).toContain(answer.get('error'));
    expect([...answer.keys()]).not.toContain('code');
    expect([...answer.keys()].filter((name) => name.includes('token'))).toEqual([]);
    const pushed = await expectUnchanged(fixture, () => push(request({ response_type, nonce: 'n' })));
    expectRefusal(pushed, { status: 400, error: refusals });
  });

  test('that is empty is an invalid request [A-029]', async () => {
    expect((await ask({ response_type: '' })).get('error')).toBe('invalid_request');
  });

  test('and grant types are in discovery as they are [A-029]', async () => {
    const discovery = JSON.parse((await call(`${issuer}/.well-known/openid-configuration`)).body);
    expect(discovery).toMatchObject({
      response_types_supported: ['code'],
      response_modes_supported: expect.not.arrayContaining(['jwt', 'web_message']),
      authorization_response_iss_parameter_supported: true,
      request_uri_parameter_supported: false,
      claims_parameter_supported: false,
    });
    expect(discovery.request_parameter_supported ?? false).toBe(false);
    expect(new Set(discovery.grant_types_supported)).toEqual(
      new Set(['authorization_code', 'refresh_token', 'client_credentials']),
    );
    for (const grant_type of ['password', 'implicit', 'AUTHORIZATION_CODE', 'constructor', '__proto__']) {
      const form = { grant_type, username: 'alice@example.test', password: 'x' };
      const answer = await call(`${issuer}/token`, { form, headers: basic('acme-web') });
      expectRefusal(answer, { status: 400, error: 'unsupported_grant_type' });
    }
  });
});

test.each([
  'fragment',
  'form_post',
  'web_message',
  'jwt',
  'query.jwt',
  'form_post ',
  'QUERY',
  'query query',
  'constructor',
])(
  'response_mode "%s" of a client that is registered for query gives no code [A-030, O-10]',
  async (response_mode) => {
    const browser = makeUserAgent();
    const page = await browser.get(
      `${issuer}/auth?${request({ client_id: 'acme-third', response_mode, state: 'kept' })}`,
    );
    expectSafe(page);
    const fields = page.location ? Object.fromEntries(answerOf(page)) : readForms(page.body)[0]!.fields;
    expect(fields).toMatchObject({
      error: expect.stringMatching(/^(invalid_request|unsupported_response_mode)$/),
    });
    expect(fields).not.toHaveProperty('code');
    expect(await browser.jar.getCookies(issuer)).toEqual([]);
  },
);

test('request objects are refused, and no address in a request is called [A-031, O-38]', async () => {
  const calls: string[] = [];
  const listener = createServer((req, res) => {
    calls.push(req.url!);
    res.end();
  });
  listener.on('connection', () => calls.push('connection'));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;

  const { privateKey } = await generateKeyPair('ES256');
  const claims = Object.fromEntries(request());
  const sign = (exp: string) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('acme-web')
      .setAudience(issuer)
      .setExpirationTime(exp)
      .sign(privateKey);
  const requests = [
    new UnsecuredJWT(claims).setIssuer('acme-web').setAudience(issuer).encode(),
    await sign('5m'),
    await sign('-5m'),
    'x',
  ];
  const request_uris = [
    `http://127.0.0.1:${port}/x`,
    `http://localhost:${port}/x`,
    `HTTP://127.0.0.1:${port}/x#urn:ietf:params:oauth:request_uri:x`,
    'http://169.254.169.254/',
    'file:///etc/passwd',
    'urn:other',
  ];
  for (const value of requests) {
    expect((await ask({ request: value })).get('error')).toBe('request_not_supported');
    expectRefusal(await push(request({ request: value })), { status: 400, error: 'request_not_supported' });
  }
  for (const value of request_uris) {
    expect((await ask({ request_uri: value })).get('error')).toBe('request_uri_not_supported');
    expectRefusal(await push(request({ request_uri: value })), {
      status: 400,
      error: 'request_uri_not_supported',
    });
  }
  const elsewhere = `http://127.0.0.1:${port}/x`;
  for (const name of [
    'jwks_uri',
    'logo_uri',
    'sector_identifier_uri',
    'registration',
    'resource',
    'id_token_hint',
    'client_id',
  ]) {
    expectSafe(await agent.get(`${issuer}/auth?${request({ [name]: elsewhere })}`));
    expectSafe(await push(request({ [name]: elsewhere })));
  }
  expect(calls).toEqual([]);
  listener.close();
});

describe('prompt', () => {
  test('none without a session is login_required [A-032, OIDC Core 3.1.2.6]', async () => {
    const browser = makeUserAgent();
    expect((await ask({ prompt: 'none' }, browser)).get('error')).toBe('login_required');
    expect((await ask({ prompt: 'none', client_id: 'shared-web' }, browser)).get('error')).toBe(
      'login_required',
    );
  });

  test.each([
    'none login',
    'login none',
    'none none login',
    'create',
    'unknown',
    'LOGIN',
    'none ',
    'login\tnone',
    'constructor',
  ])('"%s" is an invalid request [A-032]', async (prompt) => {
    for (const browser of [agent, makeUserAgent()]) {
      expect((await ask({ prompt }, browser)).get('error')).toBe('invalid_request');
    }
    expectRefusal(await push(request({ prompt })), { status: 400, error: 'invalid_request' });
  });

  test('login asks somebody who is signed in, and consent asks for a client that is trusted [OIDC Core 3.1.2.1]', async () => {
    for (const [prompt, path] of [
      ['login', '/login/'],
      ['consent', '/consent/'],
      ['login consent', '/login/'],
    ]) {
      const page = await agent.get(`${issuer}/auth?${request({ prompt: prompt! })}`);
      expect(page.location).toContain(path);
    }
  });
});

describe('max_age', () => {
  test.each([
    '-1',
    '1.5',
    '1e309',
    'NaN',
    '99999999999999999999',
    'x',
    '1e3',
    '0x10',
    ' 5',
    '+5',
    '5s',
    '\u0665',
  ])('"%s" is an invalid request [A-033]', async (max_age) => {
    expect((await ask({ max_age })).get('error')).toBe('invalid_request');
  });

  test('skips the sign-in within it and asks for it beyond, and auth_time is that of the session [A-033, OIDC Core 3.1.2.1]', async () => {
    const browser = (await completeFlow(issuer, 'acme-web')).agent;
    const signedInAt = await ageSession(browser);
    const authTimeOf = async (page: Page) => {
      const answer = await redeem(issuer, {
        client_id: 'acme-web',
        code: answerOf(page).get('code')!,
        code_verifier,
      });
      return decodeJwt(JSON.parse(answer.body).id_token)['auth_time'];
    };
    const within = await browser.get(`${issuer}/auth?${request({ max_age: '1000' })}`);
    expect(await authTimeOf(within)).toBe(signedInAt);
    expect((await ask({ max_age: '1', prompt: 'none' }, browser)).get('error')).toBe('login_required');

    for (const max_age of ['0', '1']) {
      const login = await browser.follow(await browser.get(`${issuer}/auth?${request({ max_age })}`));
      expect(login.url).toContain('/login/');
      expect(await authTimeOf(await signIn(browser, login))).toBeGreaterThan(signedInAt + 90);
      await ageSession(browser);
    }
  });
});

/** Lets the sign-in of this browser have been 100 seconds earlier; gives when, in seconds. */
async function ageSession(browser: UserAgent): Promise<number> {
  const cookies = await browser.jar.getCookies(issuer);
  const { value } = cookies.find(({ key }) => /^session-[\w-]+$/.test(key))!;
  await insider.age('Session', value, 100);
  return Number((await insider.find('Session', value))!.payload['loginTs']);
}

describe('iss', () => {
  test('is the issuer on every answer: success, denial and refusal [A-035, RFC 9207 2]', async () => {
    const answers = [
      await ask({}),
      await ask({ prompt: 'none' }, makeUserAgent()),
      await ask({ response_type: 'none' }),
      await ask({ scope: 'openid', resource: 'https://evil.test' }),
    ];
    const browser = makeUserAgent();
    const login = await browser.follow(await browser.get(`${issuer}/auth?${request()}`));
    answers.push(answerOf(await browser.submit(login, {}, 1)));
    const third = makeUserAgent();
    const page = await third.follow(
      await third.get(`${issuer}/auth?${request({ client_id: 'acme-third' })}`),
    );
    answers.push(answerOf(await third.submit(await signIn(third, page), { decision: 'deny' })));

    expect(answers.map((answer) => answer.get('error'))).toEqual([
      null,
      'login_required',
      'unsupported_response_type',
      'invalid_target',
      'access_denied',
      'access_denied',
    ]);
    expect(answers.map((answer) => answer.getAll('iss'))).toEqual(answers.map(() => [issuer]));
  });
});
