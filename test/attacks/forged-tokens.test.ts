import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CryptoKey, SignJWT } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { createVerifier } from '#tessera/rls';
import { call } from '#test/support/call.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import {
  createFixture,
  type Fixture,
  post_logout_redirect_uri,
  redirect_uri,
  resource,
} from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, type Signed } from '#test/support/flow.ts';
import { type Forgery, forgeries, readJwt } from '#test/support/forge.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let insider: Insider;
let listener: Server;
let listenerUrl: string;
let fetched = 0;
let signed: Signed;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    putClient(tx, {
      client_id: 'acme-es-spa',
      client_name: 'ES256',
      first_party: true,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'ES256',
      redirect_uris: [redirect_uri],
      post_logout_redirect_uris: [post_logout_redirect_uri],
      resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
    }),
  );
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  issuer = node.url;
  insider = await makeInsider(fixture);
  listener = createServer((_, res) => {
    fetched += 1;
    res.end('{"keys":[]}');
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  listenerUrl = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  signed = await completeFlow(issuer, 'acme-es-spa');
});
afterAll(async () => {
  listener?.close();
  await node?.stop();
  await fixture?.drop();
});

const accessTokens = () => forgeries(signed.tokens.access_token, { insider, listener: listenerUrl });
const idTokens = () => forgeries(signed.tokens.id_token!, { insider, listener: listenerUrl });
const logout = (hint: string) =>
  signed.agent.get(
    `${issuer}/logout?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri, state: 'x' })}`,
  );

async function expectStillSignedIn() {
  const { url } = await authorize(signed.config, { prompt: 'none' });
  expect((await browse(signed.agent, url)).searchParams.has('code')).toBe(true);
}

/** Gives the names of what was accepted, which are to be none. */
async function findAccepted(tokens: Forgery[], accepts: (token: string) => Promise<boolean>) {
  const accepted: string[] = [];
  for (const [name, token] of tokens) {
    if (await accepts(token)) {
      accepted.push(name);
    }
  }
  return accepted;
}

describe('forged tokens [A-070, RFC 8725 3]', () => {
  test('are refused by userinfo, 401 each', async () => {
    const [access, id] = [await accessTokens(), await idTokens()];
    await expectUnchanged(fixture, async () => {
      for (const [, token] of [access, id].flatMap(({ anybodys, servers }) => [...anybodys, ...servers])) {
        const answer = await call(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
        expectRefusal(answer, { status: 401, error: 'invalid_token' });
      }
    });
  });

  test('are refused by a resource server that trusts this issuer, 401 each', async () => {
    const verifier = createVerifier({ issuer, audience: resource });
    const accepts = async (token: string) => {
      try {
        await verifier.verify(token, undefined, { scope: 'read' });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ status: 401 });
        return false;
      }
    };
    expect(await accepts(signed.tokens.access_token)).toBe(true);
    const { anybodys, servers } = await accessTokens();
    expect(await findAccepted([...anybodys, ...servers], accepts)).toEqual([]);
    expect(await accepts(signed.tokens.id_token!)).toBe(false);
  });

  test('are refused as a hint at sign-out: a page says so, and nobody is signed out or sent on', async () => {
    const { anybodys } = await idTokens();
    const accepted = await findAccepted(anybodys, async (token) => {
      const page = await logout(token);
      expectSafe(page);
      return page.status !== 400 || page.location !== undefined;
    });
    expect(accepted).toEqual([]);
    await expectStillSignedIn();
  });

  test('lead to no fetch of anything', () => {
    expect(fetched).toBe(0);
  });
});

describe('a hint at sign-out that the server itself has signed [A-015, A-070]', () => {
  const hint = async (change: Record<string, unknown>, header: Record<string, unknown> = {}) => {
    const { key, kid } = await insider.signingKey('ES256');
    const { payload } = readJwt(signed.tokens.id_token!);
    const claims = Object.entries({ ...payload, ...change }).filter(([, value]) => value !== undefined);
    return new SignJWT(Object.fromEntries(claims))
      .setProtectedHeader({ alg: 'ES256', kid, ...header })
      .sign(key as CryptoKey);
  };

  test('may have expired, and then asks before it signs out', async () => {
    const page = await logout(await hint({ exp: 1_000, iat: 900 }));
    expectSafe(page);
    expect(page.status).toBe(200);
    expect(page.body).toContain('name="logout"');
    await expectStillSignedIn();
  });

  test.each([
    ['an access token', { client_id: 'acme-es-spa' }, { typ: 'at+jwt' }],
    ['an access token by its long name', { client_id: 'acme-es-spa' }, { typ: 'application/at+jwt' }],
    [
      'a logout token',
      { nonce: undefined, events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
      { typ: 'logout+jwt' },
    ],
    ['a proof', {}, { typ: 'dpop+jwt' }],
    ['of an unknown client', { aud: 'nobody' }, {}],
    ['of another tenant’s client', { aud: 'globex-spa' }, {}],
    ['of several clients', { aud: ['acme-es-spa', 'acme-spa'] }, {}],
    ['of another tenant', { tenant_id: '00000000-0000-4000-8000-000000000001' }, {}],
  ])('is refused when it is %s', async (_, change, header) => {
    const page = await logout(await hint(change, header));
    expectSafe(page);
    expect({ status: page.status, location: page.location }).toEqual({ status: 400, location: undefined });
    await expectStillSignedIn();
  });
});
