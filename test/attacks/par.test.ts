import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { basic, call } from '#test/support/call.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, resource } from '#test/support/fixture.ts';
import { authorize, browse, discover } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let insider: Insider;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  issuer = node.url;
  insider = await makeInsider(fixture);
  await withTenant(fixture.db, platformTenantId, (tx) =>
    putClient(tx, {
      client_id: 'shared-other',
      client_name: 'Other',
      shared: true,
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
      redirect_uris: [redirect_uri],
      resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
    }),
  );
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const prefix = 'urn:ietf:params:oauth:request_uri:';
const request = {
  response_type: 'code',
  redirect_uri,
  scope: 'openid read',
  resource,
  state: 'pushed-state',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_challenge_method: 'S256',
};
const push = (form: Record<string, string>, client_id = 'acme-web') =>
  call(`${issuer}/par`, { headers: basic(client_id), form: { client_id, ...form } });

/** Pushes a request as the client that may come no other way, and gives what its browser would be sent to. */
async function pushAsHighAssurance() {
  const config = await discover(issuer, 'acme-pk', { clientKey: fixture.clientKey });
  const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
  const { url, checks } = await authorize(config, {}, { pushed: true, dpop });
  return { config, dpop, url, checks, request_uri: url.searchParams.get('request_uri')! };
}

async function open(parameters: Record<string, string>): Promise<Page> {
  const page = await makeUserAgent().get(`${issuer}/auth?${new URLSearchParams(parameters)}`);
  expectSafe(page);
  return page;
}

test('a request_uri of one client is refused to another and still works for its own [A-041, RFC 9126 2.2]', async () => {
  const { config, dpop, url, checks, request_uri } = await pushAsHighAssurance();
  const pages = await expectUnchanged(fixture, () =>
    Promise.all(
      ['acme-web', 'acme-spa', 'globex-pk', 'shared-web'].map((client_id) =>
        open({ client_id, request_uri, tenant: 'acme' }),
      ),
    ),
  );
  for (const page of pages) {
    expect({ status: page.status, location: page.location }).toEqual({ status: 400, location: undefined });
  }
  const callback = await browse(makeUserAgent(), url);
  const tokens = await client.authorizationCodeGrant(config, callback, checks, undefined, { DPoP: dpop });
  expect(tokens.token_type).toBe('dpop');
});

describe('a request_uri that is not good [A-043, RFC 9126 2.2]', () => {
  test('lives for 5 to 599 seconds, then is refused', async () => {
    const answer = await push(request);
    expect(answer.status).toBe(201);
    expectSafe(answer);
    const { request_uri, expires_in } = JSON.parse(answer.body);
    expect(expires_in).toBeGreaterThanOrEqual(5);
    expect(expires_in).toBeLessThan(600);
    expect(request_uri).toMatch(/^urn:ietf:params:oauth:request_uri:[\w-]{43,}$/);

    const id = request_uri.slice(prefix.length);
    await insider.expireIn('PushedAuthorizationRequest', id, -1);
    const page = await expectUnchanged(fixture, () => open({ client_id: 'acme-web', request_uri }));
    expect({ status: page.status, location: page.location }).toEqual({ status: 400, location: undefined });
  });

  test.each([
    ['a guess', `${prefix}${'A'.repeat(43)}`],
    ['nothing behind the prefix', prefix],
    ['another spelling of the prefix', `URN:ietf:params:oauth:request_uri:${'A'.repeat(43)}`],
    ['a jar of SQL', `${prefix}' or 1=1--`],
  ])('%s is refused', async (_, request_uri) => {
    const page = await expectUnchanged(fixture, () => open({ client_id: 'acme-web', request_uri }));
    expect({ status: page.status, location: page.location }).toEqual({ status: 400, location: undefined });
  });
});

describe('pushing is refused [A-044, RFC 9126 2.1]', () => {
  test('with a request_uri inside', async () => {
    const { request_uri } = JSON.parse((await push(request)).body);
    const answer = await expectUnchanged(fixture, () => push({ ...request, request_uri }));
    expectRefusal(answer, { status: 400, error: ['invalid_request', 'request_uri_not_supported'] });
  });

  test('by GET', async () => {
    const answer = await expectUnchanged(fixture, () =>
      call(`${issuer}/par?${new URLSearchParams(request)}`, { headers: basic('acme-web') }),
    );
    expectSafe(answer);
    expect([404, 405]).toContain(answer.status);
  });

  test.each(['acme-web', 'acme-pk', 'acme-m2m', 'shared-web'])(
    'of the confidential client %s that does not prove itself',
    async (client_id) => {
      const answer = await expectUnchanged(fixture, () =>
        call(`${issuer}/par`, { form: { ...request, client_id } }),
      );
      expectRefusal(answer, { status: 401, error: 'invalid_client' });
    },
  );

  test('of nobody', async () => {
    const answer = await expectUnchanged(fixture, () => call(`${issuer}/par`, { form: request }));
    expectRefusal(answer, { status: [400, 401], error: ['invalid_request', 'invalid_client'] });
  });

  test('with a body of 1 MB', async () => {
    const answer = await expectUnchanged(fixture, () => push({ ...request, state: 'x'.repeat(1_000_000) }));
    expectRefusal(answer, { status: [400, 413], error: 'invalid_request' });
  });

  test('with an unregistered redirect_uri, an unknown resource or no challenge', async () => {
    const { code_challenge: _, code_challenge_method: __, ...noChallenge } = request;
    for (const [form, error] of [
      [{ ...request, redirect_uri: 'https://evil.test/cb' }, ['invalid_request', 'invalid_redirect_uri']],
      [{ ...request, resource: 'https://evil.test' }, 'invalid_target'],
      [noChallenge, 'invalid_request'],
    ] as const) {
      const answer = await expectUnchanged(fixture, () => push(form));
      expectRefusal(answer, { status: 400, error: [error].flat() });
    }
  });
});

describe('what was pushed is what counts [A-045, RFC 9126 4 and 5]', () => {
  test('a client that must push is refused at the front door', async () => {
    const page = await expectUnchanged(fixture, () => open({ ...request, client_id: 'acme-pk' }));
    const error = page.location ? new URL(page.location).searchParams.get('error') : undefined;
    expect(page.status === 400 || error === 'invalid_request').toBe(true);
    expect(page.location?.includes('code=') ?? false).toBe(false);
  });

  test('parameters beside the request_uri are ignored, and cookies carry none of either', async () => {
    const { request_uri } = JSON.parse((await push(request)).body);
    const agent = makeUserAgent();
    const url = new URL(`${issuer}/auth`);
    url.search = String(
      new URLSearchParams({
        client_id: 'acme-web',
        request_uri,
        redirect_uri: 'https://evil.test/cb',
        scope: 'openid admin write',
        state: 'outside',
        response_mode: 'form_post',
        nonce: 'outside',
        prompt: 'none',
      }),
    );
    const callback = await browse(agent, url);
    expect(callback.href.startsWith(`${redirect_uri}?`)).toBe(true);
    expect(callback.searchParams.get('state')).toBe('pushed-state');
    expect(callback.searchParams.get('code')).toEqual(expect.any(String));
    const cookies = JSON.stringify(agent.jar.toJSON());
    for (const text of ['pushed-state', 'outside', 'evil', 'api.example', 'read', request.code_challenge]) {
      expect(cookies).not.toContain(text);
    }

    const answer = await call(`${issuer}/token`, {
      headers: basic('acme-web'),
      form: {
        grant_type: 'authorization_code',
        code: callback.searchParams.get('code')!,
        redirect_uri,
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      },
    });
    expect(JSON.parse(answer.body)).toMatchObject({ scope: 'read' });
    expect(answer.status).toBe(200);
  });

  test('what a shared client pushed decides the tenant, not what is added in the browser [decision 3]', async () => {
    const { request_uri } = JSON.parse((await push({ ...request, tenant: 'acme' }, 'shared-web')).body);
    const agent = makeUserAgent();
    const query = new URLSearchParams({ client_id: 'shared-web', request_uri, tenant: 'globex' });
    const page = await agent.follow(await agent.get(`${issuer}/auth?${query}`));
    expectSafe(page);
    expect(page.body).toContain('Acme Inc');
    expect(page.body).not.toContain('Globex');
  });

  test('another shared client can neither use what was pushed nor carry it off to another tenant [A-041]', async () => {
    const { request_uri } = JSON.parse((await push({ ...request, tenant: 'acme' }, 'shared-web')).body);
    const page = await expectUnchanged(fixture, () =>
      open({ client_id: 'shared-other', request_uri, tenant: 'globex' }),
    );
    expect(page.location ?? '').not.toContain('/login/');
    const callback = await browse(
      makeUserAgent(),
      new URL(`${issuer}/auth?${new URLSearchParams({ client_id: 'shared-web', request_uri })}`),
    );
    expect(callback.searchParams.get('code')).toEqual(expect.any(String));
  });
});
