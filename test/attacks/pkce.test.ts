import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { basic, call } from '#test/support/call.ts';
import { type Code, obtainCode, redeem } from '#test/support/code.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
/** Somebody who is signed in, so that what is not refused gives a code at once. */
let agent: UserAgent;

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    const old = {
      client_name: 'Old library',
      first_party: true,
      require_pkce: false,
      grant_types: ['authorization_code'],
      redirect_uris: [redirect_uri],
    };
    await putClient(tx, { ...old, client_id: 'acme-old', token_endpoint_auth_method: 'client_secret_basic' });
    await putClient(tx, { ...old, client_id: 'acme-old-spa', token_endpoint_auth_method: 'none' });
    await addClientSecret(tx, 'acme-old', { secret: secretOf('acme-old') });
  });
  node = await startNode(fixture);
  issuer = node.url;
  agent = (await completeFlow(issuer, 'acme-web')).agent;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const challengeOf = (verifier: string) => createHash('sha256').update(verifier).digest('base64url');

const request = (client_id: string, parameters: Record<string, string>) =>
  new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid',
    state: 'kept',
    ...parameters,
  });

/** The error that a request comes back to the client with. */
async function errorOf(query: URLSearchParams): Promise<URLSearchParams> {
  const page = await agent.follow(await agent.get(`${issuer}/auth?${query}`));
  expectSafe(page);
  expect(page.location).toContain(redirect_uri);
  const answer = new URL(page.location!).searchParams;
  expect(answer.get('code')).toBeNull();
  expect(answer.get('state')).toBe('kept');
  return answer;
}

const pushAs = (client_id: string, body: URLSearchParams) =>
  call(`${issuer}/par`, {
    body: body.toString(),
    headers: { ...basic(client_id), 'content-type': 'application/x-www-form-urlencoded' },
  });

describe('a request without a challenge', () => {
  test.each(['acme-web', 'acme-spa', 'acme-third', 'globex-web', 'acme-old-spa'])(
    'of %s is refused [A-024, O-08, RFC 9700 2.1.1]',
    async (client_id) => {
      expect((await errorOf(request(client_id, {}))).get('error')).toBe('invalid_request');
    },
  );

  test('of a shared client is refused in every tenant [A-024, O-08]', async () => {
    expect((await errorOf(request('shared-web', { tenant: 'acme' }))).get('error')).toBe('invalid_request');
  });

  test('is not taken by the pushed request endpoint either [A-024, O-08]', async () => {
    const answer = await pushAs('acme-web', request('acme-web', {}));
    expectRefusal(answer, { status: 400, error: 'invalid_request' });
    const config = await discover(issuer, 'acme-pk', fixture);
    await expect(
      authorize(config, { code_challenge: undefined, code_challenge_method: undefined }, { pushed: true }),
    ).rejects.toMatchObject({ error: 'invalid_request' });
  });

  test('is taken of a confidential client whose operator said so [decision 11]', async () => {
    const code = await codeWithoutChallenge();
    expect((await redeem(issuer, code, { form: { code_verifier: undefined } })).status).toBe(200);
  });
});

async function codeWithoutChallenge(): Promise<Code> {
  return obtainCode(issuer, 'acme-old', {
    agent,
    parameters: { code_challenge: undefined, code_challenge_method: undefined },
  });
}

describe('a code', () => {
  const wrong: [string, () => string | undefined][] = [
    ['no verifier', () => undefined],
    ['an empty verifier', () => ''],
    ['another verifier', () => client.randomPKCECodeVerifier()],
    ['a verifier of 42 characters', () => 'a'.repeat(42)],
    ['a verifier of 129 characters', () => 'a'.repeat(129)],
    ['a verifier of other characters', () => `${'a'.repeat(42)}\u0000`],
  ];

  test.each(wrong)(
    'is not given for %s, and not used up by it [A-024, RFC 7636 4.6]',
    async (_, verifier) => {
      const code = await obtainCode(issuer, 'acme-web', { agent });
      const attempt = () => redeem(issuer, code, { form: { code_verifier: verifier() } });
      expectRefusal(await expectUnchanged(fixture, attempt), {
        status: 400,
        error: ['invalid_grant', 'invalid_request'],
      });
      expect((await redeem(issuer, code)).status).toBe(200);
    },
  );

  test('is not given for the challenge itself [A-024, RFC 7636 7.2]', async () => {
    const code = await obtainCode(issuer, 'acme-web', { agent });
    const code_verifier = challengeOf(code.code_verifier);
    const answer = await redeem(issuer, code, { form: { code_verifier, code_challenge_method: 'plain' } });
    expectRefusal(answer, { status: 400, error: 'invalid_grant' });
  });

  test('is not given for the verifier of another request of the same browser [A-024]', async () => {
    const [first, second] = [
      await obtainCode(issuer, 'acme-web', { agent }),
      await obtainCode(issuer, 'acme-web', { agent }),
    ];
    const answer = await redeem(issuer, { ...first, code_verifier: second.code_verifier });
    expectRefusal(answer, { status: 400, error: 'invalid_grant' });
  });

  test('of a request without a challenge is not given to who sends a verifier [A-024, RFC 9700 4.8.2]', async () => {
    const code = await codeWithoutChallenge();
    const attempt = () => redeem(issuer, { ...code, code_verifier: client.randomPKCECodeVerifier() });
    expectRefusal(await expectUnchanged(fixture, attempt), { status: 400, error: 'invalid_grant' });
  });

  test('of a client that need not send a challenge is bound to the one that it sent [A-024]', async () => {
    const code = await obtainCode(issuer, 'acme-old', { agent });
    const answer = await redeem(issuer, code, { form: { code_verifier: undefined } });
    expectRefusal(answer, { status: 400, error: 'invalid_grant' });
  });
});

describe('a challenge', () => {
  const good = challengeOf('a'.repeat(43));
  const wrong: [string, Record<string, string>][] = [
    ['of method plain', { code_challenge: good, code_challenge_method: 'plain' }],
    ['of no method', { code_challenge: good }],
    ['of an empty method', { code_challenge: good, code_challenge_method: '' }],
    ['of method s256', { code_challenge: good, code_challenge_method: 's256' }],
    ['of method S256 and a blank', { code_challenge: good, code_challenge_method: 'S256 ' }],
    ['of method S512', { code_challenge: good, code_challenge_method: 'S512' }],
    ['that is missing', { code_challenge_method: 'S256' }],
    ['that is empty', { code_challenge: '', code_challenge_method: 'S256' }],
    ['of 42 characters', { code_challenge: good.slice(1), code_challenge_method: 'S256' }],
    ['of 44 characters', { code_challenge: `${good}A`, code_challenge_method: 'S256' }],
    ['of 129 characters', { code_challenge: 'A'.repeat(129), code_challenge_method: 'S256' }],
    ['with padding', { code_challenge: `${good.slice(1)}=`, code_challenge_method: 'S256' }],
    ['with padding at the end', { code_challenge: `${good}=`, code_challenge_method: 'S256' }],
    ['of plain base64', { code_challenge: `${good.slice(2)}+/`, code_challenge_method: 'S256' }],
    [
      'of unreserved characters that base64url has not',
      { code_challenge: `${good.slice(2)}.~`, code_challenge_method: 'S256' },
    ],
    ['of other letters', { code_challenge: `${good.slice(1)}é`, code_challenge_method: 'S256' }],
  ];

  test.each(wrong)('%s is refused at both endpoints [A-025, RFC 7636 4.3]', async (_, parameters) => {
    expect((await errorOf(request('acme-web', parameters))).get('error')).toBe('invalid_request');
    const pushed = await expectUnchanged(fixture, () => pushAs('acme-web', request('acme-web', parameters)));
    expectRefusal(pushed, { status: 400, error: 'invalid_request' });
  });

  test('that is right is taken [control]', async () => {
    const query = request('acme-web', { code_challenge: good, code_challenge_method: 'S256' });
    const page = await agent.get(`${issuer}/auth?${query}`);
    expect(new URL(page.location!).searchParams.get('code')).not.toBeNull();
    expect((await pushAs('acme-web', query)).status).toBe(201);
  });

  test('has one method in discovery: S256 [A-025, RFC 8414 2]', async () => {
    const { body } = await call(`${issuer}/.well-known/openid-configuration`);
    expect(JSON.parse(body).code_challenge_methods_supported).toEqual(['S256']);
  });

  test('sent twice is refused [RFC 6749 3.1]', async () => {
    const query = request('acme-web', { code_challenge: good, code_challenge_method: 'S256' });
    query.append('code_challenge', challengeOf('b'.repeat(43)));
    expect((await errorOf(query)).get('error')).toBe('invalid_request');
    expect((await makeUserAgent().get(`${issuer}/auth?${query}`)).location).not.toContain('code=');
  });
});
