import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { putResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { basic, call } from '#test/support/call.ts';
import { type Code, obtainCode, redeem } from '#test/support/code.ts';
import { type Answer, expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover, signIn } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, type UserAgent } from '#test/support/user-agent.ts';

const second = 'https://second.test/api';
const unlisted = 'https://unlisted.test';
const foreign = 'https://globex-api.test';

let fixture: Fixture;
let node: Node;
let issuer: string;
/** Somebody who is signed in. */
let agent: UserAgent;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, platformTenantId, async (tx) => {
    await putResourceServer(tx, { identifier: second, name: 'Second API', scopes: ['read', 'send'] });
    await putResourceServer(tx, { identifier: unlisted, name: 'Unlisted API', scopes: ['read'] });
  });
  await withTenant(fixture.db, fixture.globex.tenant_id, (tx) =>
    putResourceServer(tx, { identifier: foreign, name: 'Globex API', scopes: ['read'] }),
  );
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    await putClient(tx, {
      client_id: 'acme-two',
      client_name: 'Two APIs',
      first_party: true,
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [redirect_uri],
      // The third is the other tenant's: that it is listed here must not be enough.
      resources: JSON.stringify([
        { identifier: resource, scopes: ['read'] },
        { identifier: second, scopes: ['read', 'send'] },
        { identifier: foreign, scopes: ['read'] },
      ]),
    });
    await addClientSecret(tx, 'acme-two', { secret: secretOf('acme-two') });
  });
  node = await startNode(fixture);
  issuer = node.url;
  agent = (await completeFlow(issuer, 'acme-web')).agent;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

interface Tokens {
  access_token: string;
  id_token: string;
  refresh_token?: string;
  scope?: string;
}

function tokensOf(answer: Answer): Tokens {
  expectSafe(answer);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body);
}

const take = async (client_id: string, parameters: Record<string, string | undefined>) =>
  tokensOf(await redeem(issuer, await obtainCode(issuer, client_id, { agent, parameters })));

async function ask(
  client_id: string,
  parameters: Record<string, string | string[]>,
  browser = agent,
): Promise<Page> {
  const query = new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid read',
    code_challenge: 'a'.repeat(43),
    code_challenge_method: 'S256',
  });
  for (const [name, value] of Object.entries(parameters)) {
    query.delete(name);
    for (const one of [value].flat()) {
      query.append(name, one);
    }
  }
  const page = await browser.follow(await browser.get(`${issuer}/auth?${query}`));
  expectSafe(page);
  return page;
}

/** The error that the client is told; what is no text at all (NUL) stays on an error page. */
const errorOf = ({ location, status }: Page) =>
  location === undefined ? status : new URL(location).searchParams.get('error');

const token = (client_id: string, form: Record<string, string | undefined> | [string, string][]) =>
  call(`${issuer}/token`, { form, headers: basic(client_id) });

const machine = (client_id: string, form: Record<string, string>) =>
  token(client_id, { grant_type: 'client_credentials', ...form });

describe('a scope', () => {
  const scopes: [string, string, string | undefined][] = [
    ['that is unknown', 'openid read unknown', 'read'],
    ['that was not assigned to the client', 'openid read write', 'read'],
    ['of another resource server', 'openid read send', 'read'],
    ['sent many times', `openid ${'read '.repeat(50)}read`, 'read'],
    ['in capitals', 'openid READ read', 'read'],
    ['of another name of an object', 'openid read __proto__ constructor toString', 'read'],
  ];

  test.each(scopes)('%s is never granted [A-038, RFC 6749 3.3]', async (_, scope, granted) => {
    for (const client_id of ['acme-web', 'acme-third']) {
      const page = await ask(client_id, { scope, resource });
      if (page.location === undefined) {
        expect(page.url).toContain('/consent/');
        expect(page.body).not.toMatch(/write|send|unknown|proto/);
      }
    }
    const tokens = await take('acme-web', { scope, resource });
    expect(decodeJwt(tokens.access_token)['scope']).toBe(granted);
    expect(tokens.scope).toBe(granted);
  });

  const separated = [
    'openid\tread',
    'openid,read',
    'openid+read',
    'openid\nread',
    'openid\u0000 read',
    'openid\u00a0read',
    'openid;read',
    'openid "read"',
    'openid read\\write',
  ];

  test.each(separated)(
    'list like %j, by no blank or of other characters, grants nothing of it [A-038]',
    async (scope) => {
      const page = await ask('acme-web', { scope, resource });
      if (page.location === undefined) {
        expect(page.status).toBe(400);
        return;
      }
      expect(page.location).toContain(redirect_uri);
      if (!new URL(page.location).searchParams.has('code')) {
        expect(['invalid_scope', 'invalid_request', 'access_denied']).toContain(errorOf(page));
      } else {
        const { access_token, id_token } = await take('acme-web', { scope, resource, nonce: undefined });
        expect(id_token).toBeUndefined();
        expect(String(decodeJwt(access_token)['scope'] ?? '')).not.toMatch(/openid/);
      }
    },
  );

  test('list of thousands is bounded and grants none of them [A-038]', async () => {
    const scope = (count: number) => `openid ${Array.from({ length: count }, (_, i) => `s${i}`).join(' ')}`;
    const push = (text: string) => {
      const form = {
        client_id: 'acme-web',
        redirect_uri,
        response_type: 'code',
        scope: text,
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S256',
      };
      return call(`${issuer}/par`, { form, headers: basic('acme-web') });
    };
    expectRefusal(await expectUnchanged(fixture, () => push(scope(10_000))), {
      status: [400, 413],
      error: 'invalid_request',
    });
    const pushed = await push(scope(5_000));
    expectSafe(pushed);
    const { request_uri } = JSON.parse(pushed.body);
    const page = await agent.get(
      `${issuer}/auth?${new URLSearchParams({ client_id: 'acme-web', request_uri })}`,
    );
    expectSafe(page);
    expect(page.location).toContain('code=');
  });

  test('offline_access is given by consent only, and asked for again [A-038, OIDC Core 11]', async () => {
    const allow = async (prompt: string | undefined): Promise<Tokens & { asked: boolean }> => {
      const browser = makeUserAgent();
      const { url, checks } = await authorize(await discover(issuer, 'acme-third'), {
        scope: 'openid offline_access',
        resource: undefined,
        prompt,
      });
      const login = await browser.follow(await browser.get(url.href));
      const consent = await signIn(browser, login);
      const back = await browser.submit(consent, { decision: 'allow' });
      const code: Code = {
        client_id: 'acme-third',
        code: new URL(back.location!).searchParams.get('code')!,
        code_verifier: checks.pkceCodeVerifier,
      };
      return { ...tokensOf(await redeem(issuer, code)), asked: consent.url.includes('/consent/') };
    };
    const without = await allow(undefined);
    expect(without).not.toHaveProperty('refresh_token');
    expect(without.scope).toBe('openid');
    const consented = await allow('consent');
    expect(consented).toMatchObject({ asked: true, refresh_token: expect.any(String) });
  });

  test('grows neither at the token endpoint nor in a refresh [A-038, RFC 6749 6]', async () => {
    const code = await obtainCode(issuer, 'acme-two', {
      agent,
      parameters: { scope: 'openid read', resource: second },
    });
    const first = tokensOf(await redeem(issuer, code, { form: { scope: 'openid read send write email' } }));
    expect(decodeJwt(first.access_token)['scope']).toBe('read');
    for (const scope of ['read send', 'send', 'openid read email', 'read write']) {
      const attempt = () =>
        token('acme-two', { grant_type: 'refresh_token', refresh_token: first.refresh_token!, scope });
      expectRefusal(await expectUnchanged(fixture, attempt), { status: 400, error: 'invalid_scope' });
    }
    const next = tokensOf(
      await token('acme-two', { grant_type: 'refresh_token', refresh_token: first.refresh_token! }),
    );
    expect(decodeJwt(next.access_token)['scope']).toBe('read');
  });

  test('of a machine is what it was assigned, for the resource that it names [A-038]', async () => {
    for (const scope of [
      'read write',
      'write',
      'openid',
      'openid read',
      'send',
      'offline_access',
      'read\tsend',
    ]) {
      const answer = await machine('acme-m2m', { scope });
      expectSafe(answer);
      const granted =
        answer.status === 200 ? decodeJwt(JSON.parse(answer.body).access_token)['scope'] : undefined;
      expect([undefined, '', 'read']).toContain(granted);
    }
  });

  test('asked for again by a third party without a page is consent_required [OIDC Core 3.1.2.6]', async () => {
    const browser = makeUserAgent();
    const login = await ask('acme-third', { scope: 'openid email' }, browser);
    await browser.submit(await signIn(browser, login), { decision: 'allow' });
    expect((await ask('acme-third', { scope: 'openid email', prompt: 'none' }, browser)).location).toContain(
      'code=',
    );
    const more = await ask('acme-third', { scope: 'openid email profile', prompt: 'none' }, browser);
    expect(errorOf(more)).toBe('consent_required');
    const api = await ask('acme-third', { scope: 'openid email read', resource, prompt: 'none' }, browser);
    expect(errorOf(api)).toBe('consent_required');
  });
});

test('the claims parameter is off: ignored, and nothing more is told [A-039, OIDC Core 5.5]', async () => {
  const claims = JSON.stringify({
    id_token: { email: { essential: true }, password_hash: null, sub: { value: fixture.acme.users.bob } },
    userinfo: { password_hash: null, email: { essential: true } },
  });
  for (const value of [claims, '{', 'null', '[]']) {
    const plain = decodeJwt((await take('acme-web', { nonce: undefined })).id_token);
    const tokens = await take('acme-web', { claims: value, nonce: undefined });
    expect(Object.keys(decodeJwt(tokens.id_token)).sort()).toEqual(Object.keys(plain).sort());
    const headers = { authorization: `Bearer ${tokens.access_token}` };
    const userinfo = await call(`${issuer}/userinfo`, { headers });
    expectSafe(userinfo);
    expect(JSON.parse(userinfo.body)).toEqual({
      sub: fixture.acme.users.alice,
      tenant_id: fixture.acme.tenant_id,
    });
  }
});

describe('a resource', () => {
  const wrong = () => [
    unlisted,
    foreign,
    `${resource}/`,
    resource.toUpperCase(),
    resource.replace('https', 'HTTPS'),
    `${resource}?x=1`,
    `${resource}#f`,
    `${resource} `,
    resource.replace('https', 'http'),
    'https://api.example.test.evil.test',
    'https://evil.test',
    issuer,
    `${issuer}/userinfo`,
    'acme-two',
    'urn:x',
    'x',
    '\u0000',
    '__proto__',
    `${resource}\u0000`,
    `${resource} ${second}`,
  ];

  test('that is not on the client’s list, or not its tenant’s, is invalid_target at both endpoints [A-040, O-25, RFC 8707 2]', async () => {
    for (const value of wrong()) {
      const refusal = value.includes('\u0000') ? 400 : 'invalid_target';
      expect(errorOf(await ask('acme-two', { resource: value }))).toBe(refusal);
      expect(errorOf(await ask('acme-two', { resource: [resource, value] }))).toBe(refusal);
      const answer = await expectUnchanged(fixture, () =>
        machine('acme-two', { resource: value, scope: 'read' }),
      );
      expectRefusal(answer, { status: 400, error: 'invalid_target' });
    }
  });

  test('cannot be changed for a code or in a refresh [A-040, RFC 8707 2.2]', async () => {
    const code = await obtainCode(issuer, 'acme-two', {
      agent,
      parameters: { scope: 'openid read', resource },
    });
    for (const value of [...wrong(), second]) {
      const answer = await expectUnchanged(fixture, () =>
        redeem(issuer, code, { form: { resource: value } }),
      );
      expectRefusal(answer, { status: 400, error: 'invalid_target' });
    }
    const tokens = tokensOf(await redeem(issuer, code, { form: { resource } }));
    expect(decodeJwt(tokens.access_token).aud).toBe(resource);
    for (const value of [...wrong(), second]) {
      const attempt = () =>
        token('acme-two', {
          grant_type: 'refresh_token',
          refresh_token: tokens.refresh_token!,
          resource: value,
        });
      expectRefusal(await expectUnchanged(fixture, attempt), { status: 400, error: 'invalid_target' });
    }
  });

  test('of two is chosen at the token endpoint, one for each token [A-040, RFC 8707 2.2]', async () => {
    const config = await discover(issuer, 'acme-two');
    const { url, checks } = await authorize(config, { scope: 'openid read send', resource });
    url.searchParams.append('resource', second);
    const page = await agent.get(url.href);
    const code: Code = {
      client_id: 'acme-two',
      code: new URL(page.location!).searchParams.get('code')!,
      code_verifier: checks.pkceCodeVerifier,
    };
    expectRefusal(await redeem(issuer, code), { status: 400, error: 'invalid_target' });
    const both = await token('acme-two', [
      ['grant_type', 'authorization_code'],
      ['code', code.code],
      ['code_verifier', code.code_verifier],
      ['redirect_uri', redirect_uri],
      ['resource', resource],
      ['resource', second],
    ]);
    expectRefusal(both, { status: 400, error: 'invalid_target' });
    const first = tokensOf(await redeem(issuer, code, { form: { resource } }));
    expect(decodeJwt(first.access_token)).toMatchObject({ aud: resource, scope: 'read' });
    const next = tokensOf(
      await token('acme-two', {
        grant_type: 'refresh_token',
        refresh_token: first.refresh_token!,
        resource: second,
      }),
    );
    expect(decodeJwt(next.access_token)).toMatchObject({ aud: second, scope: 'read send' });
  });
});
