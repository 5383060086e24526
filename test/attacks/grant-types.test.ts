import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { basic, call } from '#test/support/call.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover, type Signed } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

describe('a grant type that a client may not use [A-057, RFC 6749 5.2]', () => {
  const fields = {
    code: 'x',
    redirect_uri,
    code_verifier: 'x'.repeat(43),
    refresh_token: 'x',
    username: 'alice@example.test',
    password,
    assertion: 'e30.e30.e30',
    device_code: 'x',
    auth_req_id: 'x',
    subject_token: 'x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    scope: 'openid read',
  };
  // The library says invalid_request of a grant type that it knows and the client may not use.
  const refused = { status: 400, error: ['invalid_request', 'unsupported_grant_type'] };

  test.each([
    ['client_credentials', 'acme-web'],
    ['authorization_code', 'acme-m2m'],
    ['refresh_token', 'acme-m2m'],
    ...['acme-web', 'acme-m2m', 'shared-web'].flatMap((client_id) => [
      ['password', client_id],
      ['implicit', client_id],
      ['urn:ietf:params:oauth:grant-type:token-exchange', client_id],
      ['urn:ietf:params:oauth:grant-type:device_code', client_id],
      ['urn:openid:params:grant-type:ciba', client_id],
      ['urn:ietf:params:oauth:grant-type:jwt-bearer', client_id],
      ['urn:ietf:params:oauth:grant-type:saml2-bearer', client_id],
      ['urn:ietf:params:oauth:grant-type:pre-authorized_code', client_id],
      ['AUTHORIZATION_CODE', client_id],
      ['client_credentials ', client_id],
      ['__proto__', client_id],
      ['constructor', client_id],
    ]),
  ] as [string, string][])('%s by %s is refused', async (grant_type, client_id) => {
    const answer = await expectUnchanged(fixture, () =>
      call(`${issuer}/token`, { headers: basic(client_id), form: { grant_type, ...fields } }),
    );
    expectRefusal(answer, refused);
  });

  test('client_credentials by a public client is refused', async () => {
    const answer = await expectUnchanged(fixture, () =>
      call(`${issuer}/token`, { form: { grant_type: 'client_credentials', client_id: 'acme-spa' } }),
    );
    expectRefusal(answer, { status: [400, 401], error: ['invalid_request', 'invalid_client'] });
  });

  test('no grant type, or an empty one, is refused', async () => {
    for (const grant_type of [undefined, '', ' ']) {
      const answer = await expectUnchanged(fixture, () =>
        call(`${issuer}/token`, { headers: basic('acme-web'), form: { grant_type, ...fields } }),
      );
      expectRefusal(answer, { status: 400, error: ['invalid_request', 'unsupported_grant_type'] });
    }
  });

  test('a machine cannot ask a person', async () => {
    const query = new URLSearchParams({
      client_id: 'acme-m2m',
      redirect_uri,
      response_type: 'code',
      scope: 'openid',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
    });
    const page = await expectUnchanged(fixture, () => makeUserAgent().get(`${issuer}/auth?${query}`));
    expectSafe(page);
    expect({ status: page.status, location: page.location }).toEqual({ status: 400, location: undefined });
  });

  test('the discovery document names no other', async () => {
    const { body } = await call(`${issuer}/.well-known/openid-configuration`);
    expect(JSON.parse(body).grant_types_supported.sort()).toEqual([
      'authorization_code',
      'client_credentials',
      'refresh_token',
    ]);
  });
});

describe('a token is revoked by nobody but its own client [A-058, RFC 7009 2.1]', () => {
  let third: Signed['tokens'];
  let own: Signed;

  beforeAll(async () => {
    const config = await discover(issuer, 'acme-third');
    const parameters = { resource: undefined, scope: 'openid offline_access', prompt: 'consent' };
    const { url, checks } = await authorize(config, parameters);
    const agent = makeUserAgent();
    let page = await agent.follow(await agent.get(url.href));
    page = await agent.submit(page, { email: 'alice@example.test', password });
    page = await agent.submit(page, { decision: 'allow' });
    third = await client.authorizationCodeGrant(config, new URL(page.location!), checks);
    own = await completeFlow(issuer, 'acme-web', { parameters: { resource: undefined, scope: 'openid' } });
  });

  const revoke = (client_id: string, token: string, hint?: string) =>
    call(`${issuer}/revoke`, { headers: basic(client_id), form: { token, token_type_hint: hint } });
  const userinfo = (token: string) =>
    call(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });

  test.each(['acme-web', 'globex-web', 'globex-third', 'shared-web', 'acme-m2m'])(
    'not by %s, with any hint',
    async (client_id) => {
      for (const token of [third.access_token, third.refresh_token!]) {
        for (const hint of [undefined, 'access_token', 'refresh_token', 'nonsense']) {
          const answer = await expectUnchanged(fixture, () => revoke(client_id, token, hint));
          expectSafe(answer);
          expect([200, 400]).toContain(answer.status);
        }
      }
      expect((await userinfo(third.access_token)).status).toBe(200);
    },
  );

  test('not by a public client that only names itself', async () => {
    const form = { token: third.refresh_token!, client_id: 'acme-spa' };
    const answer = await expectUnchanged(fixture, () => call(`${issuer}/revoke`, { form }));
    expectSafe(answer);
    const posing = await expectUnchanged(fixture, () =>
      call(`${issuer}/revoke`, { form: { ...form, client_id: 'acme-third' } }),
    );
    expectRefusal(posing, { status: 401, error: 'invalid_client' });
  });

  test('an unknown token is answered with 200, and a JWT with unsupported_token_type', async () => {
    for (const token of ['x', 'A'.repeat(43), '\u0000', 'é', "' or 1=1--"]) {
      const answer = await expectUnchanged(fixture, () => revoke('acme-web', token));
      expectSafe(answer);
      expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: '' });
    }
    const jwt = await expectUnchanged(fixture, () => revoke('acme-web', own.tokens.id_token!));
    expectRefusal(jwt, { status: 400, error: 'unsupported_token_type' });
  });

  test('its own client does, and all of the grant ends', async () => {
    const answer = await revoke('acme-web', own.tokens.refresh_token!);
    expectSafe(answer);
    expect(answer.status).toBe(200);
    expectRefusal(await userinfo(own.tokens.access_token), { status: 401, error: 'invalid_token' });
    await expect(client.refreshTokenGrant(own.config, own.tokens.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  test('another client learns nothing about it from introspection [M-7]', async () => {
    for (const client_id of ['acme-web', 'globex-third', 'shared-web']) {
      const answer = await call(`${issuer}/introspect`, {
        headers: basic(client_id),
        form: { token: third.refresh_token! },
      });
      expectSafe(answer);
      expect(JSON.parse(answer.body)).toEqual({ active: false });
    }
  });
});
