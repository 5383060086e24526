import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { VerifiedToken } from '../../src/index.ts';
import { type Api, ask, askRaw, startApi } from '../support/api.ts';
import { audience, type Issuer, startIssuer } from '../support/issuer.ts';
import { type Holder, makeHolder, prove } from '../support/proof.ts';

let issuer: Issuer;
let api: Api;
let token: string;
let holder: Holder;
let bound: string;
/** What the hook of the API refuses. */
const revoked = new Set<string>();
const resource_metadata = `${audience}/.well-known/oauth-protected-resource`;
const algs = 'ES256 PS256 EdDSA';

beforeAll(async () => {
  issuer = await startIssuer();
  const isRevoked = async ({ subject }: VerifiedToken) => revoked.has(subject);
  api = await startApi(issuer, { verifier: { isRevoked }, guard: { scope: ['read', 'write'] } });
  token = await issuer.mint();
  holder = await makeHolder();
  bound = await issuer.mint({ cnf: { jkt: holder.jkt } });
});
afterAll(async () => {
  await api?.stop();
  await issuer?.stop();
});

const place = (change: { method?: string; url?: string } = {}) => ({
  method: 'GET',
  url: `${api.url}/orders`,
  token: bound,
  at: issuer.at,
  ...change,
});

test('without a token the answer says which schemes there are, and of no error [RFC 6750 3.1, RFC 9728 5.1]', async () => {
  for (const authorization of [undefined, 'Basic dTpw', 'Negotiate x']) {
    const { status, headers, body } = await ask(`${api.url}/orders`, authorization);
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="${resource_metadata}", ` +
        `DPoP algs="${algs}", resource_metadata="${resource_metadata}"`,
    );
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({ error: 'missing_token', error_description: expect.any(String) });
  }
});

test('a token in the query is refused, alone, beside the header, and under an encoded name [A-076, RFC 6750 2.3]', async () => {
  for (const [query, authorization] of [
    [`access_token=${token}`, undefined],
    [`a=1&access_token=${token}`, `Bearer ${token}`],
    [`%61ccess_token=${token}`, `Bearer ${token}`],
    ['access_token', `Bearer ${token}`],
  ] as const) {
    const { status, headers, body } = await ask(`${api.url}/orders?${query}`, authorization);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'invalid_request' });
    expect(headers.get('www-authenticate')).toContain('Bearer error="invalid_request"');
  }
});

describe('the Authorization header [RFC 6750 2.1, RFC 9110 5.3]', () => {
  const get = (...lines: string[]) => askRaw(api.url, ['GET /orders HTTP/1.1', 'Host: localhost', ...lines]);

  test('counts once, in any case and with any number of spaces', async () => {
    expect(await get(`AUTHORIZATION: bEARER   ${token}`)).toBe(200);
    expect(await get(`Authorization: Bearer ${token}`, `authorization: Bearer ${token}`)).toBe(400);
    expect(await get('Authorization: Basic dTpw', `authorization: Bearer ${token}`)).toBe(400);
  });

  test.each([
    ['a scheme alone', 'Bearer'],
    ['two tokens', 'Bearer a b'],
    ['a list', 'Bearer a, Bearer b'],
    ['a parameter', 'Bearer token="a"'],
  ])('is refused with %s', async (_, value) => {
    expect((await ask(api.url, value)).status).toBe(400);
  });

  test('may name the URL in full: the query of it is looked at as well', async () => {
    const lines = ['Host: localhost', `Authorization: Bearer ${token}`];
    expect(await askRaw(api.url, ['GET http://localhost/orders HTTP/1.1', ...lines])).toBe(200);
    expect(await askRaw(api.url, ['GET http://localhost/?access_token=x HTTP/1.1', ...lines])).toBe(400);
  });
});

test('a scope that is missing is 403 and named [RFC 6750 3.1]', async () => {
  const { status, headers, body } = await ask(api.url, `Bearer ${await issuer.mint({ scope: 'read' })}`);
  expect(status).toBe(403);
  expect(body).toMatchObject({ error: 'insufficient_scope' });
  expect(headers.get('www-authenticate')).toContain('scope="read write"');
});

test('a token that was revoked is refused at once, though it was accepted before [A-075]', async () => {
  const disabled = await issuer.mint({ sub: 'alice' });
  expect((await ask(api.url, `Bearer ${disabled}`)).status).toBe(200);
  revoked.add('alice');
  const { status, headers } = await ask(api.url, `Bearer ${disabled}`);
  expect(status).toBe(401);
  expect(headers.get('www-authenticate')).toContain('error="invalid_token"');
});

test('without any key of the issuer the answer is 503 and says nothing of the token', async () => {
  const silent = await startIssuer();
  silent.down = true;
  const other = await startApi(silent);
  const { status, headers, body } = await ask(other.url, `Bearer ${await silent.mint()}`);
  expect(status).toBe(503);
  expect(headers.has('www-authenticate')).toBe(false);
  expect(body).toMatchObject({ error: 'keys_unavailable' });
  await other.stop();
  await silent.stop();
});

describe('a bound token [RFC 9449 7.1]', () => {
  test('passes with a proof, once, with any query', async () => {
    const dpop = await prove(holder, place());
    expect((await ask(`${api.url}/orders?page=2`, `DPoP ${bound}`, { dpop })).status).toBe(200);
    const again = await ask(`${api.url}/orders`, `DPoP ${bound}`, { dpop });
    expect(again.status).toBe(401);
    expect(again.headers.get('www-authenticate')).toContain('DPoP error="invalid_dpop_proof"');
  });

  test('is refused as a bearer token, with and without a proof [A-056]', async () => {
    for (const more of [{}, { dpop: await prove(holder, place()) }]) {
      const { status, headers } = await ask(`${api.url}/orders`, `Bearer ${bound}`, more);
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toContain('DPoP error="invalid_token"');
    }
  });

  test('is refused with the proof of another method, another path or two proofs', async () => {
    for (const change of [{ method: 'POST' }, { url: `${api.url}/other` }]) {
      const dpop = await prove(holder, place(change));
      expect((await ask(`${api.url}/orders`, `DPoP ${bound}`, { dpop })).status).toBe(401);
    }
    const lines = ['GET /orders HTTP/1.1', `Host: ${new URL(api.url).host}`, `Authorization: DPoP ${bound}`];
    const proofs = [`DPoP: ${await prove(holder, place())}`, `dpop: ${await prove(holder, place())}`];
    expect(await askRaw(api.url, [...lines, proofs[0]!])).toBe(200);
    expect(await askRaw(api.url, [...lines, proofs[1]!, `DPoP: ${await prove(holder, place())}`])).toBe(400);
  });

  test('is refused when the proof fits a Host header that the sender made up', async () => {
    for (const host of ['evil.test', 'localhost:1', 'evil.localhost']) {
      const proof = await prove(holder, place({ url: `http://${host}/orders` }));
      const lines = [`Host: ${host}`, `Authorization: DPoP ${bound}`, `DPoP: ${proof}`];
      expect(await askRaw(api.url, ['GET /orders HTTP/1.1', ...lines])).toBe(401);
    }
  });

  test('is measured against the public origin where one is given, path included', async () => {
    const other = await startApi(issuer, { guard: { origin: 'https://api.example.test/v1' } });
    const get = async (url: string) => {
      const dpop = await prove(holder, place({ url }));
      return (await ask(`${other.url}//evil.test/orders`, `DPoP ${bound}`, { dpop })).status;
    };
    expect(await get('https://api.example.test/v1//evil.test/orders')).toBe(200);
    expect(await get('https://API.example.test:443/v1//evil.test/orders?x#y')).toBe(200);
    expect(await get(`${other.url}//evil.test/orders`)).toBe(401);
    expect(await get('https://evil.test/orders')).toBe(401);
    await other.stop();
  });
});

test('a free token is refused under the scheme DPoP [A-056, RFC 9449 7.2]', async () => {
  const dpop = await prove(holder, { ...place(), token });
  const { status, headers } = await ask(`${api.url}/orders`, `DPoP ${token}`, { dpop });
  expect(status).toBe(401);
  expect(headers.get('www-authenticate')).toContain('DPoP error="invalid_token"');
});
