import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret, hashClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient, setClientStatus } from '#src/domain/clients/clients.ts';
import { basic, type Call, call } from '#test/support/call.ts';
import {
  type Answer,
  comparable,
  expectRefusal,
  expectSafe,
  expectUnchanged,
} from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, resource, secretOf } from '#test/support/fixture.ts';
import { type Node, startNode } from '#test/support/server.ts';

const special = 'a+b %41:&=;"\'/?#[]@!$()*,~^`{|}\\<>-100%';

const { privateKey, publicKey } = await generateKeyPair('ES256');

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    const machine = {
      client_name: 'Machine',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [],
      resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
    };
    await putClient(tx, { ...machine, client_id: 'acme-special' });
    await addClientSecret(tx, 'acme-special', { secret: special });
    await addClientSecret(tx, 'acme-m2m', { secret: 'a secret that has expired', expires_at: new Date(0) });
    await putClient(tx, { ...machine, client_id: 'acme-off' });
    await addClientSecret(tx, 'acme-off', { secret: secretOf('acme-off') });
    await setClientStatus(tx, 'acme-off', 'disabled');
    await putClient(tx, { ...machine, client_id: 'acme-office', allowed_ips: ['203.0.113.0/24'] });
    await addClientSecret(tx, 'acme-office', { secret: secretOf('acme-office') });
  });
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const form = { grant_type: 'client_credentials' };
const askToken = (request: Call) => call(`${issuer}/token`, { form, ...request });
const authorization = (text: string | Buffer) => ({
  authorization: `Basic ${Buffer.from(text).toString('base64')}`,
});
const secret = secretOf('acme-m2m');

async function expectNoToken(request: Call, expected: Parameters<typeof expectRefusal>[1]): Promise<Answer> {
  const answer = await expectUnchanged(fixture, () => askToken(request));
  expectRefusal(answer, expected);
  return answer;
}

describe('a secret [A-046, RFC 6749 2.3.1]', () => {
  test('of special characters works when it is encoded as the RFC says', async () => {
    const answer = await askToken({ headers: basic('acme-special', special) });
    expectSafe(answer);
    expect(answer.status).toBe(200);
  });

  test.each([
    ['wrong', 'acme-m2m:wrong'],
    ['of another client', `acme-m2m:${secretOf('acme-web')}`],
    ['of the same client in another tenant', `acme-m2m:${secretOf('globex-m2m')}`],
    ['expired', 'acme-m2m:a secret that has expired'],
    ['cut short', `acme-m2m:${secret.slice(0, -1)}`],
    ['with more behind it', `acme-m2m:${secret}x`],
    ['with a colon and more behind it', `acme-m2m:${secret}:x`],
    ['in another case', `acme-m2m:${secret.toUpperCase()}`],
    ['that is the stored hash', `acme-m2m:${hashClientSecret(secret).toString('base64')}`],
    ['sent raw where it needed encoding', `acme-special:${special.replace('%41', 'A').replace(/%$/, '')}`],
    ['of 10 kB', `acme-m2m:${'x'.repeat(9_000)}`],
  ])('%s is refused with 401 and WWW-Authenticate', async (_, text) => {
    const answer = await expectNoToken(
      { headers: authorization(text) },
      { status: 401, error: 'invalid_client' },
    );
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
  });

  test.each([
    ['an empty secret', authorization('acme-m2m:')],
    ['no colon', authorization('acme-m2m')],
    ['a line break behind the secret', authorization(`acme-m2m:${secret}\n`)],
    ['a NUL inside', authorization(`acme-m2m:${secret}%00`)],
    ['bytes that are no UTF-8', authorization(Buffer.from([...Buffer.from('acme-m2m:'), 0xff, 0xfe]))],
    ['half an escape', authorization('acme-m2m:100%')],
    ['bad base64', { authorization: 'Basic !!!!' }],
    ['two values', { authorization: `${basic('acme-m2m')['authorization']}, Basic eDp5` }],
    ['another scheme', { authorization: `Bearer ${btoa(`acme-m2m:${secret}`)}` }],
    ['a scheme alone', { authorization: 'Basic' }],
  ])('in a header with %s is refused', async (_, headers) => {
    await expectNoToken({ headers }, { status: [400, 401], error: ['invalid_request', 'invalid_client'] });
  });

  test('of 17 kB in the header or 1 MB in the body is refused', async () => {
    const header = await call(`${issuer}/token`, {
      form,
      headers: authorization(`acme-m2m:${'x'.repeat(13_000)}`),
    });
    expect(header.status).toBe(431);
    await expectNoToken(
      { form: { ...form, client_id: 'acme-m2m', client_secret: 'x'.repeat(1_000_000) } },
      { status: [400, 413], error: 'invalid_request' },
    );
  });
});

describe('two ways at once, or another way than the registered one [A-047, RFC 6749 2.3]', () => {
  const assertion = (client_id: string, key = fixture.clientKey) =>
    new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: 'client-key' })
      .setIssuer(client_id)
      .setSubject(client_id)
      .setAudience(issuer)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(key);
  const asserted = async (client_id: string, key?: Parameters<typeof assertion>[1]) => ({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion(client_id, key),
  });

  test.each([
    [
      'Basic and a secret in the body',
      async () => ({
        headers: basic('acme-m2m'),
        form: { ...form, client_id: 'acme-m2m', client_secret: secret },
      }),
    ],
    [
      'Basic and an assertion',
      async () => ({
        headers: basic('acme-m2m'),
        form: { ...form, ...(await asserted('acme-m2m')) },
      }),
    ],
    [
      'an assertion and a secret in the body',
      async () => ({
        form: { ...form, client_id: 'acme-pk', client_secret: 'x', ...(await asserted('acme-pk')) },
      }),
    ],
    ['a secret of a client that signs', async () => ({ headers: basic('acme-pk') })],
    [
      'a secret in the body of a client that signs',
      async () => ({
        form: { ...form, client_id: 'acme-pk', client_secret: secretOf('acme-pk') },
      }),
    ],
    [
      'its public key as its secret',
      async () => ({
        headers: basic('acme-pk', await exportSPKI(publicKey)),
      }),
    ],
    [
      'an assertion of a client that has a secret',
      async () => ({
        form: { ...form, ...(await asserted('acme-m2m')) },
      }),
    ],
    [
      'an assertion signed by a key it brings',
      async () => ({
        form: {
          ...form,
          ...(await asserted('acme-pk', privateKey)),
          jwk: JSON.stringify(await exportJWK(publicKey)),
        },
      }),
    ],
    ['a secret of a public client', async () => ({ headers: basic('acme-spa', 'acme-spa') })],
    [
      'nothing but the client_id of a confidential client',
      async () => ({
        form: { ...form, client_id: 'acme-m2m' },
      }),
    ],
    [
      'an empty secret in the body',
      async () => ({
        form: { ...form, client_id: 'acme-m2m', client_secret: '' },
      }),
    ],
  ] as [string, () => Promise<Call>][])('%s is refused', async (_, request) => {
    await expectNoToken(await request(), {
      status: [400, 401],
      error: ['invalid_request', 'invalid_client'],
    });
  });
});

test('who authenticates is who asks: another client_id beside it is refused [A-048]', async () => {
  for (const client_id of ['acme-web', 'globex-m2m', 'shared-web', 'nobody']) {
    await expectNoToken(
      { headers: basic('acme-m2m'), form: { ...form, client_id, scope: 'openid read' } },
      { status: 400, error: 'invalid_request' },
    );
  }
});

test('a machine gets its own scopes only, whatever it names [A-048]', async () => {
  for (const scope of ['write', 'openid', 'read write', 'offline_access', 'admin']) {
    const answer = await expectUnchanged(fixture, () =>
      askToken({ headers: basic('acme-m2m'), form: { ...form, scope } }),
    );
    expectSafe(answer);
    expect(JSON.parse(answer.body).scope ?? '').not.toMatch(/write|openid|offline|admin/);
  }
});

describe('nothing tells an unknown client from one that is known [A-061]', () => {
  const inBody = (client_id: string) => ({ form: { ...form, client_id, client_secret: 'wrong' } });
  const inHeader = (client_id: string, given = 'wrong') => ({ headers: basic(client_id, given) });
  test.each(['/token', '/par', '/introspect', '/revoke'])('at %s', async (path) => {
    const rest = { token: 'x', token_type_hint: 'access_token' };
    const ask = async ({ headers = {}, form: given = form }: Call) =>
      comparable(
        await expectUnchanged(fixture, () =>
          call(issuer + path, { headers, form: { ...rest, ...(given as Record<string, string>) } }),
        ),
      );
    const expected = await ask(inHeader('nobody'));
    expect(expected.status).toBe(401);
    expect(await ask(inHeader('acme-m2m'))).toEqual(expected);
    expect(await ask(inHeader('acme-off'))).toEqual(expected);
    expect(await ask(inHeader('acme-off', secretOf('acme-off')))).toEqual(expected);
    expect(await ask(inHeader('acme-office', secretOf('acme-office')))).toEqual(expected);
    expect(await ask(inHeader('acme-pk'))).toEqual(expected);
    const body = await ask(inBody('nobody'));
    expect(body.status).toBe(401);
    expect(await ask(inBody('acme-m2m'))).toEqual(body);
    expect(await ask(inBody('acme-off'))).toEqual(body);
  });

  test('at /auth', async () => {
    const open = async (client_id: string) => {
      const query = new URLSearchParams({ client_id, redirect_uri, response_type: 'code', scope: 'openid' });
      const answer = await call(`${issuer}/auth?${query}`);
      expectSafe(answer);
      return comparable(answer);
    };
    const expected = await open('nobody');
    expect(expected.status).toBe(400);
    expect(await open('acme-off')).toEqual(expected);
  });
});
