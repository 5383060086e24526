import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CryptoKey, decodeJwt, SignJWT, UnsecuredJWT } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { expectSafe } from '#test/support/expect-safe.ts';
import {
  createFixture,
  type Fixture,
  post_logout_redirect_uri,
  redirect_uri,
} from '#test/support/fixture.ts';
import { completeFlow, type Signed } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { redirectUriVariants, registered_uri } from '#test/support/redirect-uris.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let insider: Insider;
let issuer: string;
/** Alice at two clients of acme and at one of globex, and Bob at acme, each in a browser of their own. */
let web: Signed;
let spa: Signed;
let foreign: Signed;
let bob: Signed;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    tx
      .updateTable('clients')
      .set({ post_logout_redirect_uris: [registered_uri] })
      .where('client_id', '=', 'acme-spa')
      .execute(),
  );
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  insider = await makeInsider(fixture);
  issuer = node.url;
  const parameters = { scope: 'openid', resource: undefined };
  web = await completeFlow(issuer, 'acme-web', { parameters });
  spa = await completeFlow(issuer, 'acme-spa', { parameters });
  foreign = await completeFlow(issuer, 'globex-web', { parameters });
  bob = await completeFlow(issuer, 'acme-web', { parameters, email: 'bob@example.test' });
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const logout = (agent: UserAgent, parameters: Record<string, string>) =>
  agent.get(`${issuer}/logout?${new URLSearchParams(parameters)}`);

function expectRefused(page: Page) {
  expectSafe(page);
  expect(page.status).toBe(400);
  expect(page.headers.get('location')).toBeNull();
  expect(readForms(page.body)).toEqual([]);
  expect(page.headers.get('content-security-policy')).toMatch(/form-action 'self'(;|$)/);
}

async function isSignedIn(agent: UserAgent, client_id = 'acme-web'): Promise<boolean> {
  const query = new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid',
    prompt: 'none',
    code_challenge: 'a'.repeat(43),
    code_challenge_method: 'S256',
  });
  const page = await agent.get(`${issuer}/auth?${query}`);
  const answer = new URL(page.location!).searchParams;
  expect(answer.has('code') || answer.get('error') === 'login_required').toBe(true);
  return answer.has('code');
}

describe('post_logout_redirect_uri', () => {
  const hintless = { client_id: 'acme-spa' };

  test('that is registered is where a confirmed sign-out goes [control]', async () => {
    const { agent, tokens } = await completeFlow(issuer, 'acme-spa', {
      parameters: { scope: 'openid', resource: undefined },
    });
    const page = await logout(agent, {
      id_token_hint: tokens.id_token!,
      post_logout_redirect_uri: registered_uri,
      state: 's&t=%',
    });
    expectSafe(page);
    expect(page.status).toBe(200);
    expect(await isSignedIn(agent, 'acme-spa')).toBe(true);
    const left = await agent.submit(page, { logout: 'yes' });
    expect(left.location).toBe(`${registered_uri}?state=s%26t%3D%25`);
    expect(await isSignedIn(agent, 'acme-spa')).toBe(false);
  });

  test('of the list is refused to every client, with a valid hint or none, signed in or not [A-014, OC-31]', async () => {
    const hint = spa.tokens.id_token!;
    for (const uri of redirectUriVariants.filter((variant) => variant !== '')) {
      for (const agent of [spa.agent, makeUserAgent()]) {
        expectRefused(await logout(agent, { ...hintless, post_logout_redirect_uri: uri }));
        expectRefused(
          await logout(agent, { id_token_hint: hint, post_logout_redirect_uri: uri, state: 's' }),
        );
      }
    }
    expect(await isSignedIn(spa.agent, 'acme-spa')).toBe(true);
  });

  test('without a client is followed by nobody [A-014]', async () => {
    for (const uri of [...redirectUriVariants, registered_uri]) {
      const agent = makeUserAgent();
      const page = await logout(agent, { post_logout_redirect_uri: uri, state: 's' });
      expectSafe(page);
      expect(page.location).toBeUndefined();
      expect(page.headers.get('content-security-policy')).toMatch(/form-action 'self'(;|$)/);
      const end = await agent.submit(page);
      expectSafe(end);
      expect(end.location).toBeUndefined();
      expect(new URL(end.url).origin + new URL(end.url).pathname).toBe(`${issuer}/logout/success`);
    }
  });

  test('sent twice, empty or as a list is followed by nobody [A-014]', async () => {
    const query = new URLSearchParams({ ...hintless, post_logout_redirect_uri: registered_uri });
    query.append('post_logout_redirect_uri', 'https://evil.test/');
    expectRefused(await spa.agent.get(`${issuer}/logout?${query}`));
    for (const more of ['post_logout_redirect_uri=', 'post_logout_redirect_uri[]=https://evil.test/']) {
      const agent = makeUserAgent();
      const page = await agent.get(`${issuer}/logout?client_id=acme-spa&${more}`);
      expectSafe(page);
      const end = page.status === 400 ? page : await agent.submit(page);
      expect(end.location).toBeUndefined();
    }
  });

  test('of an authorization is not one of a sign-out [A-014]', async () => {
    expectRefused(await logout(web.agent, { client_id: 'acme-web', post_logout_redirect_uri: redirect_uri }));
  });
});

describe('id_token_hint', () => {
  test('of another client gives no way to this one’s address [A-015 a]', async () => {
    expectRefused(
      await logout(web.agent, {
        id_token_hint: web.tokens.id_token!,
        post_logout_redirect_uri: registered_uri,
      }),
    );
    expectRefused(
      await logout(web.agent, {
        id_token_hint: web.tokens.id_token!,
        client_id: 'acme-spa',
        post_logout_redirect_uri: registered_uri,
      }),
    );
  });

  test('of another tenant ends nothing of this one [A-015 b]', async () => {
    const hint = foreign.tokens.id_token!;
    expectRefused(
      await logout(web.agent, { id_token_hint: hint, client_id: 'acme-web', post_logout_redirect_uri }),
    );
    const page = await logout(web.agent, { id_token_hint: hint, post_logout_redirect_uri });
    expectSafe(page);
    expect(page.location).toBeUndefined();
    await web.agent.submit(page);
    expect(await isSignedIn(web.agent)).toBe(true);
  });

  test('of another user asks who is signed in before it ends anything [A-015 c]', async () => {
    const page = await logout(web.agent, { id_token_hint: bob.tokens.id_token!, post_logout_redirect_uri });
    expectSafe(page);
    expect(page.status).toBe(200);
    expect(page.body).toContain('alice@example.test');
    expect(page.body).not.toContain('bob@example.test');
    expect(page.body).not.toContain('<script>');
    expect(await isSignedIn(web.agent)).toBe(true);
  });

  const sign = async (
    payload: Record<string, unknown>,
    header: Record<string, unknown> = {},
    alg: 'RS256' | 'ES256' = 'RS256',
  ) => {
    const { key, kid } = await insider.signingKey(alg);
    return new SignJWT(payload).setProtectedHeader({ alg, kid, ...header }).sign(key as CryptoKey);
  };
  const claims = () => ({ ...decodeJwt(web.tokens.id_token!) });
  const past = () => Math.floor(Date.now() / 1000) - 86_400;

  test('that has expired still names the client, and still asks [A-015 d, OIDC RP-Initiated Logout 2]', async () => {
    for (const payload of [claims(), { ...claims(), sub: fixture.acme.users.bob }]) {
      const id_token_hint = await sign({ ...payload, iat: past() - 300, exp: past() });
      const page = await logout(web.agent, { id_token_hint, post_logout_redirect_uri });
      expectSafe(page);
      expect(page.status).toBe(200);
      expect(page.body).toContain('alice@example.test');
      expect(await isSignedIn(web.agent)).toBe(true);
    }
  });

  const forged: [string, () => Promise<string> | string][] = [
    ['that is unsigned', () => new UnsecuredJWT(claims()).encode()],
    ['without its signature', () => web.tokens.id_token!.replace(/[^.]+$/, '')],
    ['with another sub', () => tamper({ sub: fixture.acme.users.bob })],
    ['with another audience', () => tamper({ aud: 'acme-spa' })],
    ['with another tenant', () => tamper({ tenant_id: fixture.globex.tenant_id })],
    ['with no tenant that exists', () => tamper({ tenant_id: '00000000-0000-4000-8000-0000000000ff' })],
    ['with a tenant that is no id', () => tamper({ tenant_id: "' or 1=1 --" })],
    ['of another issuer', () => sign({ ...claims(), iss: 'https://evil.test' })],
    ['of another algorithm', () => sign(claims(), {}, 'ES256')],
    ['that is a logout token', () => sign(logoutToken(), { typ: 'logout+jwt' })],
    ['that is an access token for the client', () => sign(claims(), { typ: 'at+jwt' })],
    ['that is an introspection answer', () => sign(claims(), { typ: 'token-introspection+jwt' })],
    ['that is an opaque access token', () => web.tokens.access_token],
    ['that is a refresh token', () => web.tokens.refresh_token!],
    ['that is an access token', async () => (await completeFlow(issuer, 'acme-web')).tokens.access_token],
    ['that is text', () => 'a.b.c'],
    ['that is JSON', () => `${btoa('{"alg":"RS256"}')}.${btoa('[]')}.x`],
    ['that is long', () => `a.${'b'.repeat(8_000)}.c`],
  ];

  function tamper(change: Record<string, unknown>): string {
    const [header, , signature] = web.tokens.id_token!.split('.');
    const payload = Buffer.from(JSON.stringify({ ...claims(), ...change })).toString('base64url');
    return `${header}.${payload}.${signature}`;
  }

  function logoutToken() {
    const { iss, aud, sub, iat, exp } = claims();
    return {
      iss,
      aud,
      sub,
      iat,
      exp,
      jti: 'j',
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    };
  }

  test.each(forged)(
    '%s is refused, here and in an authorization request [A-015 e-g, RFC 8725 3.11]',
    async (_, make) => {
      const id_token_hint = await make();
      for (const agent of [web.agent, makeUserAgent()]) {
        expectRefused(await logout(agent, { id_token_hint, post_logout_redirect_uri }));
        expectRefused(await logout(agent, { id_token_hint }));
      }
      const query = new URLSearchParams({
        client_id: 'acme-web',
        redirect_uri,
        response_type: 'code',
        scope: 'openid',
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S256',
        prompt: 'none',
        id_token_hint,
      });
      const page = await web.agent.get(`${issuer}/auth?${query}`);
      expectSafe(page);
      expect(new URL(page.location!).searchParams.get('error')).toBe('invalid_request');
      expect(await isSignedIn(web.agent)).toBe(true);
    },
  );
});

describe('the sign-out itself', () => {
  test('may be asked for by a form, which goes on as a GET and asks as that does [OIDC RP-Initiated Logout 2, OC-16]', async () => {
    const form = { id_token_hint: web.tokens.id_token!, post_logout_redirect_uri, state: 's' };
    const posted = await web.agent.post(`${issuer}/logout`, form);
    expectSafe(posted);
    expect(posted.status).toBe(303);
    const page = await web.agent.follow(posted);
    expectSafe(page);
    expect(page.body).toContain('alice@example.test');
    const evil = { ...form, post_logout_redirect_uri: 'https://evil.test/' };
    expectRefused(await web.agent.follow(await web.agent.post(`${issuer}/logout`, evil)));
    expect(await isSignedIn(web.agent)).toBe(true);
  });

  test('needs the form of its own page and its cookie [CSRF]', async () => {
    const page = await logout(web.agent, { client_id: 'acme-web' });
    const [form] = readForms(page.body);
    const action = new URL(form!.action, issuer).href;
    for (const xsrf of ['', 'x', `${form!.fields['xsrf']}x`, '\u0000']) {
      expectRefused(await web.agent.post(action, { xsrf, logout: 'yes' }));
    }
    expectRefused(await makeUserAgent().post(action, { ...form!.fields, logout: 'yes' }));
    expectRefused(await bob.agent.post(action, { ...form!.fields, logout: 'yes' }));
    const twice = new URLSearchParams([...Object.entries(form!.fields), ...Object.entries(form!.fields)]);
    expectRefused(await web.agent.post(action, twice));
    expect(await isSignedIn(web.agent)).toBe(true);
    expect(await isSignedIn(bob.agent)).toBe(true);
  });

  test('of one tenant leaves the other one signed in, whichever page was opened last', async () => {
    const parameters = { scope: 'openid', resource: undefined };
    const { agent } = await completeFlow(issuer, 'acme-web', { parameters });
    await completeFlow(issuer, 'globex-web', { agent, parameters });
    const acme = await logout(agent, { client_id: 'acme-web' });
    const globex = await logout(agent, { client_id: 'globex-web' });
    // The form of the page that was opened first is not taken for the other tenant’s.
    expectRefused(await agent.submit(acme, { logout: 'yes' }));
    await agent.submit(globex, { logout: 'yes' });
    expect(await isSignedIn(agent, 'globex-web')).toBe(false);
    expect(await isSignedIn(agent)).toBe(true);
  });

  test('that is declined leaves the person signed in', async () => {
    const { agent } = await completeFlow(issuer, 'acme-web', {
      parameters: { scope: 'openid', resource: undefined },
    });
    const stayed = await agent.submit(await logout(agent, {}));
    expectSafe(stayed);
    expect(stayed.url).toContain('/logout/success');
    expect(await isSignedIn(agent)).toBe(true);
  });
});
