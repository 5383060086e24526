import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import * as client from 'openid-client';
import { basic, call } from '#test/support/call.ts';
import { type Answer, expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

interface Holder {
  privateKey: CryptoKey;
  publicKey: CryptoKey;
  jwk: JWK;
}

const makeHolder = async (alg: string): Promise<Holder> => {
  const pair = await generateKeyPair(alg, { extractable: true });
  return { ...pair, jwk: await exportJWK(pair.publicKey) };
};
const holder = await makeHolder('ES256');
const stranger = await makeHolder('ES256');
const rsa = await makeHolder('RS256');

let fixture: Fixture;
let node: Node;
let issuer: string;
/** Bound to the holder's key: what a public client got, access token for userinfo. */
let bound: { access_token: string; refresh_token: string };
/** An access token of the same person that is bound to nothing. */
let bearer: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
  const parameters = { resource: undefined, scope: 'openid email' };
  const { tokens } = await completeFlow(issuer, 'acme-spa', {
    parameters,
    dpop: async (config) => client.getDPoPHandle(config, holder),
  });
  bound = tokens as typeof bound;
  bearer = (await completeFlow(issuer, 'acme-spa', { parameters })).tokens.access_token;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const now = () => Math.floor(Date.now() / 1000);
const athOf = (token: string) => createHash('sha256').update(token).digest('base64url');

interface Proof {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
}

/** Where proofs are shown: the method and URL that they must name, and the token that they come with. */
interface Place {
  method: string;
  url: string;
  token?: string;
}

/** A good proof for the place but for these claims and header; undefined leaves one out. */
async function prove(place: Place, { claims = {}, header = {}, key = holder.privateKey }: Proof = {}) {
  const all = {
    jti: crypto.randomUUID(),
    htm: place.method,
    htu: place.url,
    iat: now(),
    ...(place.token ? { ath: athOf(place.token) } : {}),
    ...claims,
  };
  const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(kept)
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: holder.jwk, ...header })
    .sign(key);
}

/** The proof with another header on the same payload and signature: what no signing library would make. */
async function proveUnder(place: Place, header: Record<string, unknown>) {
  const [, ...rest] = (await prove(place)).split('.');
  return [Buffer.from(JSON.stringify(header)).toString('base64url'), ...rest].join('.');
}

const tokenEndpoint = (): Place => ({ method: 'POST', url: `${issuer}/token` });
const userinfo = (): Place => ({ method: 'GET', url: `${issuer}/userinfo`, token: bound.access_token });

const show = ({ token, url }: Place, proof: string): Promise<Answer> =>
  token
    ? call(url, { headers: { authorization: `DPoP ${token}`, DPoP: proof } })
    : call(url, {
        form: { grant_type: 'client_credentials' },
        headers: { ...basic('acme-m2m'), DPoP: proof },
      });

type Refusal = 'invalid_dpop_proof' | 'use_dpop_nonce' | 'invalid_token';
type Case = [name: string, make: (place: Place) => Promise<string>, error?: Refusal];

const withClaims = (claims: Record<string, unknown>) => (place: Place) => prove(place, { claims });
const withUrl = (change: Partial<URL>) => (place: Place) =>
  prove(place, { claims: { htu: Object.assign(new URL(place.url), change).href } });

const refusals: Case[] = [
  ['two proofs', async (place) => `${await prove(place)}, ${await prove(place)}`],
  ['no JWT', async () => 'proof'],
  ['typ missing', (place) => prove(place, { header: { typ: undefined } })],
  ['typ JWT', (place) => prove(place, { header: { typ: 'JWT' } })],
  ['typ at+jwt', (place) => prove(place, { header: { typ: 'at+jwt' } })],
  ['alg missing', (place) => proveUnder(place, { typ: 'dpop+jwt', jwk: holder.jwk })],
  ['alg none', (place) => proveUnder(place, { typ: 'dpop+jwt', alg: 'none', jwk: holder.jwk })],
  [
    'alg HS256 with the public key as key',
    (place) =>
      prove(place, { header: { alg: 'HS256' }, key: new TextEncoder().encode(JSON.stringify(holder.jwk)) }),
  ],
  [
    'alg HS256 with the key in jwk',
    (place) => {
      const key = new Uint8Array(32).fill(7);
      const jwk = { kty: 'oct', k: Buffer.from(key).toString('base64url') };
      return prove(place, { header: { alg: 'HS256', jwk }, key });
    },
  ],
  ['alg RS256', (place) => prove(place, { header: { alg: 'RS256', jwk: rsa.jwk }, key: rsa.privateKey })],
  ['jwk missing', (place) => prove(place, { header: { jwk: undefined } })],
  ['jwk private', async (place) => prove(place, { header: { jwk: await exportJWK(holder.privateKey) } })],
  ['jwk of another key', (place) => prove(place, { header: { jwk: stranger.jwk } })],
  ['jti missing', withClaims({ jti: undefined })],
  ['jti empty', withClaims({ jti: '' })],
  ['jti a number', withClaims({ jti: 1 })],
  ['htm missing', withClaims({ htm: undefined })],
  ['htm PUT', withClaims({ htm: 'PUT' })],
  ['htm in lower case', (place) => prove(place, { claims: { htm: place.method.toLowerCase() } })],
  ['htu missing', withClaims({ htu: undefined })],
  ['htu of another path', withUrl({ pathname: '/par' })],
  ['htu of another host', withUrl({ hostname: 'evil.test' })],
  ['htu of another port', withUrl({ port: '1' })],
  ['htu of another scheme', withUrl({ protocol: 'https:' })],
  ['htu a path only', (place) => prove(place, { claims: { htu: new URL(place.url).pathname } })],
  ['iat missing', withClaims({ iat: undefined })],
  ['iat as text', withClaims({ iat: String(now()) })],
  ['iat one hour past', withClaims({ iat: now() - 3600 }), 'use_dpop_nonce'],
  ['iat one hour ahead', withClaims({ iat: now() + 3600 }), 'use_dpop_nonce'],
  ['a wrong nonce', withClaims({ nonce: 'A'.repeat(43) }), 'use_dpop_nonce'],
  ['a nonce that is no text', withClaims({ nonce: 1 })],
  [
    'a broken signature',
    async (place) => {
      const [header, payload, signature = ''] = (await prove(place)).split('.');
      const bytes = Buffer.from(signature, 'base64url');
      bytes[40]! ^= 1;
      return [header, payload, bytes.toString('base64url')].join('.');
    },
  ],
  [
    'crit that is not understood',
    (place) =>
      proveUnder(place, { typ: 'dpop+jwt', alg: 'ES256', jwk: holder.jwk, crit: ['evil'], evil: true }),
  ],
];

const onlyWithToken: Case[] = [
  ['ath missing', withClaims({ ath: undefined })],
  ['ath of another token', (place) => prove(place, { claims: { ath: athOf(bearer) } })],
  ['ath the token itself', (place) => prove(place, { claims: { ath: place.token } })],
  [
    'a key that the token is not bound to',
    (place) => prove(place, { header: { jwk: stranger.jwk }, key: stranger.privateKey }),
    'invalid_token',
  ],
];

describe.each([
  ['the token endpoint', tokenEndpoint, 400, refusals],
  ['userinfo', userinfo, 401, [...refusals, ...onlyWithToken]],
] as const)('a proof at %s is refused with [A-053, RFC 9449 4.3]', (_, placeOf, status, cases) => {
  test.each(cases as Case[])('%s', async (_name, make, error = 'invalid_dpop_proof') => {
    const place = placeOf();
    const proof = await make(place);
    const answer = await expectUnchanged(fixture, () => show(place, proof));
    expectRefusal(answer, { status, error });
    if (status === 401) {
      expect(answer.headers.get('www-authenticate')).toContain('DPoP');
    }
    if (error === 'use_dpop_nonce') {
      expect(answer.headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/);
    }
  });
});

describe.each([
  ['the token endpoint', tokenEndpoint],
  ['userinfo', userinfo],
] as const)('a proof at %s is accepted with [A-053, RFC 9449 4.3]', (_, placeOf) => {
  test.each([
    ['all as it should be', prove],
    ['a query in htu', withUrl({ search: '?x=1' })],
    ['a fragment in htu', withUrl({ hash: '#x' })],
    ['iat 10 s past', withClaims({ iat: now() - 10 })],
    ['iat 10 s ahead', withClaims({ iat: now() + 10 })],
  ] as Case[])('%s', async (_name, make) => {
    const place = placeOf();
    const answer = await show(place, await make(place));
    expectSafe(answer);
    expect({ status: answer.status, body: answer.body }).toMatchObject({ status: 200 });
  });

  test('the nonce that was offered, and only once', async () => {
    const place = placeOf();
    const first = await show(place, await prove(place));
    const nonce = first.headers.get('dpop-nonce')!;
    const proof = await prove(place, { claims: { nonce } });
    expect((await show(place, proof)).status).toBe(200);
    const again = await show(place, proof);
    expectRefusal(again, {
      status: [400, 401],
      error: ['invalid_grant', 'invalid_token', 'invalid_dpop_proof'],
    });
  });
});

test('the name of the header may be in any case, and two of them are refused [A-053, RFC 9110 5.1]', async () => {
  const place = userinfo();
  const { host } = new URL(issuer);
  const authorization = { Authorization: `DPoP ${place.token}`, Accept: 'application/json' };
  for (const name of ['DPOP', 'dpop', 'dPoP']) {
    const lines = rawGet('/userinfo', host, { ...authorization, [name]: await prove(place) });
    const answer = await sendRaw(issuer, { lines });
    expectSafe(answer);
    expect(answer.status).toBe(200);
  }
  const lines = rawGet('/userinfo', host, {
    ...authorization,
    DPoP: await prove(place),
    DPOP: await prove(place),
  });
  const answer = await sendRaw(issuer, { lines });
  expectSafe(answer);
  expect(answer.status).toBe(401);
});

describe('a refresh token that is bound to a key [A-055, RFC 9449 5]', () => {
  const refresh = (proof?: string) =>
    call(`${issuer}/token`, {
      form: { grant_type: 'refresh_token', client_id: 'acme-spa', refresh_token: bound.refresh_token },
      headers: proof ? { DPoP: proof } : {},
    });

  test.each([
    ['no proof', async () => undefined],
    [
      'the proof of another key',
      () => prove(tokenEndpoint(), { header: { jwk: stranger.jwk }, key: stranger.privateKey }),
    ],
    ['a proof for userinfo', () => prove(userinfo())],
    ['an old proof', () => prove(tokenEndpoint(), { claims: { iat: now() - 3600 } })],
  ])('is refused with %s, and not used up', async (_, make) => {
    const proof = await make();
    const answer = await expectUnchanged(fixture, () => refresh(proof));
    expectRefusal(answer, { status: 400, error: ['invalid_grant', 'invalid_dpop_proof', 'use_dpop_nonce'] });
  });

  test('works with its own key, and gives bound tokens', async () => {
    const answer = await refresh(await prove(tokenEndpoint()));
    expectSafe(answer);
    expect(JSON.parse(answer.body)).toMatchObject({ token_type: 'DPoP' });
  });

  test('a client whose tokens must be bound gets none without a proof, and its code stays good', async () => {
    const config = await discover(issuer, 'acme-pk', { clientKey: fixture.clientKey });
    const { url, checks } = await authorize(config, {}, { pushed: true });
    const callback = await browse(makeUserAgent(), url);
    const redeem = (options?: client.DPoPOptions) =>
      client.authorizationCodeGrant(config, new URL(callback), checks, undefined, options);
    await expect(redeem()).rejects.toMatchObject({ error: 'invalid_grant' });
    const tokens = await redeem({ DPoP: client.getDPoPHandle(config, holder) });
    expect(tokens.token_type).toBe('dpop');
  });
});

describe('a token and its scheme [A-056, RFC 9449 7.2]', () => {
  test('a bound token is refused as a bearer token, with and without a proof', async () => {
    const headers = { authorization: `Bearer ${bound.access_token}` };
    for (const DPoP of [undefined, await prove(userinfo())]) {
      const answer = await call(`${issuer}/userinfo`, { headers: { ...headers, ...(DPoP ? { DPoP } : {}) } });
      expectSafe(answer);
      expect([400, 401]).toContain(answer.status);
      expect(answer.body).not.toContain('alice');
    }
    const posted = await call(`${issuer}/userinfo`, { form: { access_token: bound.access_token } });
    expectRefusal(posted, { status: 401, error: 'invalid_token' });
  });

  test('a bound token without a proof, and a free one with a proof, are refused', async () => {
    const missing = await call(`${issuer}/userinfo`, {
      headers: { authorization: `DPoP ${bound.access_token}` },
    });
    expectSafe(missing);
    expect([400, 401]).toContain(missing.status);
    const place = { ...userinfo(), token: bearer };
    const answer = await show(place, await prove(place));
    expectRefusal(answer, { status: 401, error: 'invalid_token' });
  });
});
