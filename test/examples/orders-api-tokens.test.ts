import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { audience, call, now } from './orders-api-fixture.ts';
import { type Orders, startOrders } from './orders-api-service.ts';

const metadata = 'resource_metadata="https://api.example.test/.well-known/oauth-protected-resource"';

let orders: Orders;
let { op, api } = {} as Orders;

beforeAll(async () => {
  orders = await startOrders();
  ({ op, api } = orders);
});
afterAll(() => orders.close());

test('says to anybody whose tokens it takes [RFC 9728 3]', async () => {
  expect(await call(`${api.url}/.well-known/oauth-protected-resource`)).toMatchObject({
    status: 200,
    body: { resource: audience, authorization_servers: [op.issuer], scopes_supported: ['read', 'write'] },
  });
});

test('refuses a header that is no token as malformed [RFC 6750 3.1]', async () => {
  for (const authorization of ['Bearer', 'Bearer a b']) {
    const answer = await call(`${api.url}/orders`, undefined, { headers: { authorization } });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  }
});

test('refuses a request without one and names the scheme only [RFC 6750 3.1]', async () => {
  for (const headers of [{}, { authorization: 'Basic YTpi' }]) {
    const answer = await call(`${api.url}/orders`, undefined, { headers });
    expect(answer).toMatchObject({ status: 401, body: { error: 'missing_token' } });
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer ${metadata}, DPoP algs="ES256 PS256 EdDSA", ${metadata}`,
    );
  }
});

test.each<[string, () => string | Promise<string>]>([
  ['another audience', () => op.mint({ aud: 'https://other.example.test' })],
  ['no audience', () => op.mint({ aud: undefined })],
  ['another issuer', () => op.mint({ iss: 'https://other.example.test' })],
  ['an expiry past the tolerance', () => op.mint({ exp: now() - 60 })],
  ['no expiry', () => op.mint({ exp: undefined })],
  ['a start in the future', () => op.mint({ nbf: now() + 600 })],
  ['no iat', () => op.mint({ iat: undefined })],
  ['no jti', () => op.mint({ jti: undefined })],
  ['no sub', () => op.mint({ sub: undefined })],
  ['no client_id', () => op.mint({ client_id: undefined })],
  ['scope as a list', () => op.mint({ scope: ['read'] })],
  ['no tenant_id', () => op.mint({ tenant_id: undefined })],
  ['a tenant_id that is a slug', () => op.mint({ tenant_id: 'acme' })],
  ['a tenant_id list', () => op.mint({ tenant_id: [randomUUID()] })],
  ['a quote after the tenant_id', () => op.mint({ tenant_id: `${randomUUID()}'` })],
  ["the binding to its holder's key [RFC 9449 7.2]", () => op.mint({ cnf: { jkt: 'x' } })],
  ['typ JWT', () => op.mint({}, { typ: 'JWT' })],
  ['no typ', () => op.mint({}, { typ: undefined })],
  ['an unknown kid', () => op.mint({}, { kid: 'other' })],
  ["a stranger's signature", () => op.mintByStranger()],
  ['RS256, by a key of the issuer', () => op.mintRs256()],
  ['HS256, keyed with the public key', () => op.mintHs256()],
  ['alg none', () => op.mintUnsecured()],
  ['a changed payload', () => op.mintTampered({ tenant_id: randomUUID() })],
  ['no dots', () => 'opaque-token'],
  ['bytes that are no JSON', () => 'a.b.c'],
])('refuses one with %s [RFC 9068 4]', async (_name, make) => {
  const answer = await getOrders(make());
  expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
  expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  expect(answer.headers.get('cache-control')).toBe('no-store');
});

test('accepts one that expired within the tolerance, and any case of the scheme', async () => {
  expect((await getOrders(op.mint({ exp: now() - 1 }))).status).toBe(200);
  const headers = { authorization: `bearer ${await op.mint()}` };
  expect((await call(`${api.url}/orders`, undefined, { headers })).status).toBe(200);
});

test.each([
  ['GET', 'read', 'write'],
  ['GET', 'read', undefined],
  ['GET', 'read', 'reader'],
  ['POST', 'write', 'read'],
])(
  '%s without the scope %s, holding %s, is 403 and says which [RFC 6750 3.1]',
  async (method, scope, held) => {
    const answer = await call(`${api.url}/orders`, op.mint({ scope: held }), { method });
    expect(answer).toMatchObject({ status: 403, body: { error: 'insufficient_scope' } });
    expect(answer.headers.get('www-authenticate')).toContain(`scope="${scope}"`);
  },
);

function getOrders(token: string | Promise<string>) {
  return call(`${api.url}/orders`, token);
}
