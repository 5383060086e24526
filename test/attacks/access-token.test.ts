import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { createFixture, type Fixture, resource } from '#test/support/fixture.ts';
import { completeFlow } from '#test/support/flow.ts';
import { readJwt } from '#test/support/forge.ts';
import { type Node, startNode } from '#test/support/server.ts';

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

async function askMachineToken(client_id = 'acme-m2m'): Promise<string> {
  const answer = await call(`${issuer}/token`, {
    headers: basic(client_id),
    form: { grant_type: 'client_credentials', scope: 'read' },
  });
  return JSON.parse(answer.body).access_token;
}

describe('a JWT access token [A-073, RFC 9068 2]', () => {
  test('of a person holds what a resource server decides with, and nothing personal', async () => {
    const { tokens } = await completeFlow(issuer, 'acme-web');
    const { header, payload } = readJwt(tokens.access_token);
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
    expect(payload).toEqual({
      iss: issuer,
      sub: fixture.acme.users.alice,
      aud: resource,
      exp: expect.any(Number),
      iat: expect.any(Number),
      jti: expect.any(String),
      client_id: 'acme-web',
      scope: 'read',
      tenant_id: fixture.acme.tenant_id,
      sid: expect.any(String),
      auth_time: expect.any(Number),
      acr: 'urn:tessera:aal1',
      amr: ['pwd'],
      roles: [],
    });
    expect(Number(payload['exp']) - Number(payload['iat'])).toBeLessThanOrEqual(300);
    expect(JSON.stringify(payload)).not.toMatch(/alice|@/i);
  });

  test('of a machine holds the same but for the person', async () => {
    const { header, payload } = readJwt(await askMachineToken());
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
    expect(payload).toEqual({
      iss: issuer,
      sub: 'acme-m2m',
      aud: resource,
      exp: expect.any(Number),
      iat: expect.any(Number),
      jti: expect.any(String),
      client_id: 'acme-m2m',
      scope: 'read',
      tenant_id: fixture.acme.tenant_id,
    });
    expect(Number(payload['exp']) - Number(payload['iat'])).toBeLessThanOrEqual(300);
  });

  test('has an identifier of its own, of at least 128 bits', async () => {
    const batch = () => Promise.all(Array.from({ length: 25 }, () => askMachineToken()));
    const tokens: string[] = [];
    for (let round = 0; round < 12; round += 1) {
      tokens.push(...(await batch()));
    }
    const identifiers = tokens.map((token) => String(readJwt(token).payload['jti']));
    expect(new Set(identifiers).size).toBe(300);
    for (const jti of identifiers) {
      expect(jti).toMatch(/^[\w-]{22,}$/);
    }
  });

  test('of a person never shares its sub with a machine, whatever the client is called [R-14]', async () => {
    const { payload } = readJwt((await completeFlow(issuer, 'globex-web')).tokens.access_token);
    expect(payload['sub']).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(readJwt(await askMachineToken('globex-m2m')).payload['sub']).not.toMatch(/^[0-9a-f]{8}-/);
  });

  test('names its tenant, not one that the request names [decision 2]', async () => {
    for (const name of ['globex', fixture.globex.tenant_id]) {
      const answer = await call(`${issuer}/token`, {
        headers: basic('acme-m2m'),
        form: { grant_type: 'client_credentials', tenant: name, tenant_id: fixture.globex.tenant_id },
      });
      const { payload } = readJwt(JSON.parse(answer.body).access_token);
      expect(payload['tenant_id']).toBe(fixture.acme.tenant_id);
    }
  });
});
