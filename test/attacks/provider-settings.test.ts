import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { basic, call } from '#test/support/call.ts';
import { obtainCode, redeem } from '#test/support/code.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let discovery: Record<string, unknown>;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
  discovery = JSON.parse((await call(`${issuer}/.well-known/openid-configuration`)).body);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

test('the library’s development pages are not there [O-01]', async () => {
  const { url } = await authorize(await discover(issuer, 'acme-web'));
  const agent = makeUserAgent();
  const page = await agent.follow(await agent.get(url.href));
  const uid = page.url.slice(page.url.lastIndexOf('/') + 1);
  const { cookies } = (await agent.jar.serialize())!;
  const cookie = cookies.map(({ key, value }) => `${key}=${value}`).join('; ');
  for (const path of [`/interaction/${uid}`, `/interaction/${uid}/abort`, `/interaction/${uid}/login`]) {
    for (const form of [undefined, { prompt: 'login', login: 'anybody', password: 'x' }]) {
      const answer = await call(issuer + path, {
        ...(form ? { form } : {}),
        headers: { cookie, accept: 'text/html' },
      });
      expectSafe(answer);
      expect(answer.status).toBe(404);
    }
  }
});

test('features that are off have no endpoint and are not in discovery [O-38]', async () => {
  for (const path of [
    '/reg',
    '/device',
    '/device/auth',
    '/backchannel',
    '/challenge',
    '/credential',
    '/ciba',
    '/session/end',
  ]) {
    for (const method of ['GET', 'POST']) {
      const answer = await call(issuer + path, { method });
      expectSafe(answer);
      expect(answer.status).toBe(404);
    }
  }
  for (const name of [
    ...['registration_endpoint', 'device_authorization_endpoint', 'backchannel_authentication_endpoint'],
    ...['request_object_signing_alg_values_supported', 'authorization_signing_alg_values_supported'],
    ...['id_token_encryption_alg_values_supported', 'authorization_details_types_supported'],
  ]) {
    expect(discovery).not.toHaveProperty(name);
  }
});

test('the keys of the documents are public ones, each of a kid, a use and an algorithm [O-03]', async () => {
  const answer = await call(`${issuer}/jwks`);
  expectSafe(answer);
  const { keys } = JSON.parse(answer.body) as { keys: Record<string, string>[] };
  expect(keys.length).toBeGreaterThan(1);
  for (const key of keys) {
    expect(key).toMatchObject({
      kid: expect.any(String),
      use: 'sig',
      alg: expect.stringMatching(/^(RS|PS|ES)256$|^EdDSA$/),
    });
    expect(Object.keys(key).filter((name) => /^(d|p|q|dp|dq|qi|k|oth|priv)$/.test(name))).toEqual([]);
    if (key['kty'] === 'RSA') {
      expect(Buffer.from(key['n']!, 'base64url').length).toBeGreaterThanOrEqual(384);
    }
  }
});

test('a body that is too long, compressed or of another kind is refused by every page [A-105]', async () => {
  const form = 'application/x-www-form-urlencoded';
  const bomb = gzipSync(Buffer.alloc(5_000_000, 'a'));
  const bodies: [string | Uint8Array<ArrayBuffer>, Record<string, string>][] = [
    [`query=${'x'.repeat(70_000)}`, { 'content-type': form }],
    [new Uint8Array(bomb), { 'content-type': form, 'content-encoding': 'gzip' }],
    [new Uint8Array(gzipSync('x=1').subarray(0, 10)), { 'content-type': form, 'content-encoding': 'gzip' }],
    ['x=1', { 'content-type': form, 'content-encoding': 'x-unknown' }],
    ['x=1', { 'content-type': `${form}; charset=x-unknown` }],
    ['%ff%fe%=&&==&%', { 'content-type': form }],
    [Array.from({ length: 5_000 }, (_, i) => `f${i}=`).join('&'), { 'content-type': form }],
    ['<x/>', { 'content-type': 'application/xml' }],
    ['{"csrf":"x"}', { 'content-type': 'application/json' }],
  ];
  const paths = [
    '/auth',
    '/workspace',
    '/login/x',
    '/login/x/cancel',
    '/consent/x',
    '/logout/confirm',
    '/token',
    '/par',
  ];
  for (const path of paths) {
    for (const [body, headers] of bodies) {
      const answer = await call(issuer + path, { body, headers: { ...headers, accept: 'text/html' } });
      expectSafe(answer);
      expect(answer.body).not.toContain('password"');
    }
  }
});

describe('client authentication', () => {
  test('is by four methods and asymmetric algorithms, as discovery says [O-11, O-12]', async () => {
    const methods = ['client_secret_basic', 'client_secret_post', 'none', 'private_key_jwt'];
    expect([...(discovery['token_endpoint_auth_methods_supported'] as string[])].sort()).toEqual(methods);
    const algorithms = Object.entries(discovery).filter(([name]) => name.includes('_alg_values_supported'));
    expect(algorithms.length).toBeGreaterThan(2);
    expect(
      algorithms.flatMap(([, values]) => values as string[]).filter((alg) => /^(HS|none)/.test(alg)),
    ).toEqual([]);
  });

  test('by an assertion that the secret signs is refused, whatever of it is the key [O-11, O-12]', async () => {
    const secret = secretOf('acme-m2m');
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(secret)));
    const keys = [
      Buffer.from(secret),
      digest,
      Buffer.from(digest.toString('base64')),
      Buffer.from(digest.toString('hex')),
    ];
    for (const key of keys) {
      const client_assertion = await new SignJWT({ jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer('acme-m2m')
        .setSubject('acme-m2m')
        .setAudience(issuer)
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(key);
      const form = {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion,
      };
      expectRefusal(await expectUnchanged(fixture, () => call(`${issuer}/token`, { form })), {
        status: [400, 401],
        error: ['invalid_client', 'invalid_request'],
      });
    }
  });
});

describe('CORS', () => {
  const own = new URL(redirect_uri).origin;
  const evil = [
    'https://evil.test',
    'null',
    `${own}.evil.test`,
    own.replace('http', 'https'),
    own.toUpperCase(),
    `${own}/`,
  ];
  const corsOf = (headers: Headers) => headers.get('access-control-allow-origin');

  test('lets a page call for a public client from where that client lives, and from nowhere else [O-30, C-64]', async () => {
    const code = await obtainCode(issuer, 'acme-spa');
    for (const origin of evil) {
      const answer = await expectUnchanged(fixture, () => redeem(issuer, code, { headers: { origin } }));
      expectRefusal(answer, { status: 400, error: 'invalid_request' });
      expect(corsOf(answer.headers)).toBeNull();
    }
    const answer = await redeem(issuer, code, { headers: { origin: own } });
    expectSafe(answer);
    expect(answer.status).toBe(200);
    expect(corsOf(answer.headers)).toBe(own);
    expect(answer.headers.get('vary')).toMatch(/origin/i);

    const authorization = `Bearer ${JSON.parse(answer.body).access_token}`;
    for (const origin of evil) {
      const refused = await call(`${issuer}/userinfo`, { headers: { authorization, origin } });
      expectSafe(refused);
      expect(refused.status).toBe(400);
      expect(refused.body).not.toContain(fixture.acme.users.alice);
      expect(corsOf(refused.headers)).toBeNull();
    }
    const userinfo = await call(`${issuer}/userinfo`, { headers: { authorization, origin: own } });
    expect(userinfo.status).toBe(200);
    expect(corsOf(userinfo.headers)).toBe(own);
  });

  test('lets no page call for a confidential client [O-30]', async () => {
    for (const [path, form] of [
      ['/token', { grant_type: 'client_credentials' }],
      ['/introspect', { token: 'x' }],
      ['/revoke', { token: 'x' }],
      ['/par', { client_id: 'acme-web' }],
    ] as const) {
      for (const origin of [own, 'https://evil.test']) {
        const answer = await call(issuer + path, {
          form,
          headers: { ...basic(path === '/token' ? 'acme-m2m' : 'acme-web'), origin },
        });
        expectRefusal(answer, { status: 400, error: 'invalid_request' });
        expect(corsOf(answer.headers)).toBeNull();
      }
    }
  });

  test('never comes with credentials, and not on pages at all [O-30]', async () => {
    const agent = (await completeFlow(issuer, 'acme-web')).agent;
    const cookie = await agent.jar.getCookieString(issuer);
    const pages = [
      '/',
      '/auth',
      '/login/x',
      '/consent/x',
      '/workspace',
      '/logout',
      '/logout/confirm',
      '/none',
    ];
    for (const path of [...pages, '/token', '/userinfo', '/par', '/introspect', '/revoke', '/jwks']) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const answer = await call(issuer + path, {
          method,
          headers: { origin: 'https://evil.test', cookie, 'access-control-request-method': 'POST' },
        });
        expectSafe(answer);
        expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
        if (pages.includes(path)) {
          expect(corsOf(answer.headers)).toBeNull();
        }
      }
    }
  });
});

test('a request that comes as a form goes on as a GET, so that cookies stay SameSite=Lax [O-34, OC-16]', async () => {
  const { url } = await authorize(await discover(issuer, 'acme-web'));
  const agent = makeUserAgent();
  const posted = await agent.post(`${issuer}/auth`, url.searchParams);
  expectSafe(posted);
  expect(posted.status).toBe(303);
  expect(posted.headers.getSetCookie()).toEqual([]);
  expect(posted.location).toBe(`${issuer}/auth?${url.searchParams}`);
  const login = await agent.get(posted.location!);
  const cookies = login.headers.getSetCookie();
  expect(cookies.length).toBeGreaterThan(2);
  for (const line of cookies) {
    expect(line).toMatch(/; httponly/i);
    expect(line).toMatch(/; samesite=lax/i);
    expect(line).not.toMatch(/; domain=/i);
  }
  expect((await browse(agent, url)).searchParams.has('code')).toBe(true);

  const bodies: [string, string][] = [
    ['application/json', '{"client_id":"acme-web"}'],
    ['text/plain', url.searchParams.toString()],
    ['multipart/form-data; boundary=x', '--x--'],
    ['application/x-www-form-urlencoded; charset=utf-7', url.searchParams.toString()],
    ['application/x-www-form-urlencoded', `client_id=acme-web&state=${'x'.repeat(60_000)}`],
  ];
  for (const [type, body] of bodies) {
    const answer = await makeUserAgent().post(`${issuer}/auth`, body, { 'content-type': type });
    expectSafe(answer);
    expect([303, 400, 413, 415]).toContain(answer.status);
    expect(answer.location ?? `${issuer}/auth`).toMatch(new RegExp(`^${issuer}/auth`));
  }
});

test('an access token in a query or twice is no access token [O-35, RFC 6750 2]', async () => {
  const { tokens } = await completeFlow(issuer, 'acme-web', {
    parameters: { scope: 'openid', resource: undefined },
  });
  const { access_token } = tokens;
  const bearer = { authorization: `Bearer ${access_token}` };
  const attempts = [
    await call(`${issuer}/userinfo?access_token=${access_token}`),
    await call(`${issuer}/userinfo?access_token=${access_token}`, { form: {} }),
    await call(`${issuer}/userinfo?access_token=${access_token}`, { headers: bearer }),
    await call(`${issuer}/userinfo`, { form: { access_token }, headers: bearer }),
    await call(`${issuer}/userinfo`, {
      form: [
        ['access_token', access_token],
        ['access_token', access_token],
      ],
    }),
    await call(`${issuer}/userinfo`, { headers: { authorization: `Basic ${access_token}` } }),
    await call(`${issuer}/userinfo`, { headers: { authorization: `DPoP ${access_token}` } }),
    await call(`${issuer}/userinfo`, {
      headers: { authorization: `Bearer ${access_token} ${access_token}` },
    }),
    await call(`${issuer}/userinfo`, { headers: { authorization: access_token } }),
  ];
  for (const answer of attempts) {
    expectSafe(answer);
    expect([400, 401]).toContain(answer.status);
    expect(answer.body).not.toContain(fixture.acme.users.alice);
    expect(answer.headers.get('www-authenticate')).toMatch(/Bearer|DPoP/);
  }
  expect((await call(`${issuer}/userinfo`, { headers: bearer })).status).toBe(200);
});
