import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPair } from 'jose';
import Koa from 'koa';
import * as client from 'openid-client';
import { createVerifier } from '#tessera/rls';
import { guard } from '#tessera/rls/koa';
import { basic, call } from '#test/support/call.ts';
import { createFixture, type Fixture, resource } from '#test/support/fixture.ts';
import { completeFlow, type Signed } from '#test/support/flow.ts';
import { forgeries } from '#test/support/forge.ts';
import { insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';

let fixture: Fixture;
let node: Node;
let api: Server;
let url: string;
/** Where keys are offered that nobody may fetch. */
let listener: Server;
let listenerUrl: string;
let fetched = 0;
let signed: Signed;

const listen = async (server: Server) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  const app = new Koa();
  app.use(guard(createVerifier({ issuer: node.url, audience: resource }), { scope: 'read' })).use((ctx) => {
    const { tenantId, subject, clientId } = ctx.state.token;
    ctx.body = { tenantId, subject, clientId };
  });
  api = createServer(app.callback());
  url = await listen(api);
  listener = createServer((_, res) => {
    fetched += 1;
    res.end('{"keys":[]}');
  });
  listenerUrl = await listen(listener);
  signed = await completeFlow(node.url, 'acme-web');
});
afterAll(async () => {
  api?.close();
  listener?.close();
  await node?.stop();
  await fixture?.drop();
});

const ask = async (token: string) => {
  const { status, body } = await call(url, { headers: { authorization: `Bearer ${token}` } });
  return { status, body: JSON.parse(body) };
};

async function askMachineToken(client_id: string): Promise<string> {
  const answer = await call(`${node.url}/token`, {
    headers: basic(client_id),
    form: { grant_type: 'client_credentials', scope: 'read' },
  });
  return JSON.parse(answer.body).access_token;
}

describe('a resource server that trusts this issuer', () => {
  test('takes the tokens of machines and people, each for its tenant', async () => {
    for (const { tenant_id, slug } of [fixture.acme, fixture.globex]) {
      const client_id = `${slug}-m2m`;
      expect(await ask(await askMachineToken(client_id))).toEqual({
        status: 200,
        body: { tenantId: tenant_id, subject: expect.any(String), clientId: client_id },
      });
    }
    expect(await ask(signed.tokens.access_token)).toEqual({
      status: 200,
      body: { tenantId: fixture.acme.tenant_id, subject: fixture.acme.users.alice, clientId: 'acme-web' },
    });
  });

  test('takes a bound token with a proof of an independent client, once each [RFC 9449 7.1]', async () => {
    const key = await generateKeyPair('ES256', { extractable: true });
    const { config, tokens } = await completeFlow(node.url, 'acme-spa', {
      dpop: async (config) => client.getDPoPHandle(config, key),
    });
    const DPoP = client.getDPoPHandle(config, key);
    for (const path of ['/orders', '/orders?page=2']) {
      const { access_token } = tokens;
      const target = new URL(path, url);
      const answer = await client.fetchProtectedResource(
        config,
        access_token,
        target,
        'GET',
        null,
        undefined,
        {
          DPoP,
        },
      );
      expect(await answer.json()).toMatchObject({ subject: fixture.acme.users.alice });
    }
    expect(await ask(tokens.access_token)).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
  });

  test('refuses whatever else this issuer gives out [A-071]', async () => {
    const opaque = await completeFlow(node.url, 'acme-web', {
      parameters: { resource: undefined, scope: 'openid email' },
    });
    const { id_token, refresh_token } = signed.tokens;
    for (const token of [id_token, refresh_token, opaque.tokens.access_token]) {
      expect(token).toEqual(expect.any(String));
      expect(await ask(token!)).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
    }
  });

  test('refuses forgeries, and fetches nothing for them [A-070, RFC 8725 3]', async () => {
    const insider = await makeInsider(fixture);
    const { anybodys, servers } = await forgeries(signed.tokens.access_token, {
      insider,
      listener: listenerUrl,
    });
    const accepted: string[] = [];
    for (const [name, token] of [...anybodys, ...servers]) {
      if ((await ask(token)).status !== 401) accepted.push(name);
    }
    expect(accepted).toEqual([]);
    expect(fetched).toBe(0);
  });
});

test('tokens are verified while the issuer is down', async () => {
  const other = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  const { tokens } = await completeFlow(other.url, 'globex-spa', { email: 'bob@example.test' });
  const verifier = createVerifier({ issuer: other.url, audience: resource, cacheSize: 0 });
  const verify = async () => (await verifier.verify(tokens.access_token)).tenantId;
  expect(await verify()).toBe(fixture.globex.tenant_id);
  await other.kill();
  expect(await verify()).toBe(fixture.globex.tenant_id);
});
