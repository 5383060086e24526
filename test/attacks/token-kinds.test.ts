import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CryptoKey, SignJWT } from 'jose';
import { createVerifier } from '#tessera/rls';
import { basic, call } from '#test/support/call.ts';
import { expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, redirect_uri, resource } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow } from '#test/support/flow.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let insider: Insider;
let agent: UserAgent;
/** Of the code that was made last. */
let code_verifier = 'x'.repeat(43);

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  issuer = node.url;
  insider = await makeInsider(fixture);
  agent = makeUserAgent();
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

type Make = () => Promise<string>;

const flow = (parameters?: Record<string, string | undefined>) =>
  completeFlow(issuer, 'acme-web', { agent, ...(parameters ? { parameters } : {}) });
const opaque = { resource: undefined, scope: 'openid email' };

/** A new one of each kind, as its rightful holder has it. */
const kinds: Record<string, Make> = {
  'ID token': async () => (await flow()).tokens.id_token!,
  'JWT access token': async () => (await flow()).tokens.access_token,
  'opaque access token': async () => (await flow(opaque)).tokens.access_token,
  'refresh token': async () => (await flow(opaque)).tokens.refresh_token!,
  'authorization code': async () => {
    const { url, checks } = await authorize((await flow()).config);
    code_verifier = checks.pkceCodeVerifier;
    const callback = await browse(agent, url);
    return callback.searchParams.get('code')!;
  },
  'logout token': async () => {
    const { key, kid } = await insider.signingKey('RS256');
    return new SignJWT({
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      tenant_id: fixture.acme.tenant_id,
    })
      .setProtectedHeader({ alg: 'RS256', typ: 'logout+jwt', kid })
      .setIssuer(issuer)
      .setSubject(fixture.acme.users.alice)
      .setAudience('acme-web')
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('2m')
      .sign(key as CryptoKey);
  },
  'client assertion': async () =>
    new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: 'client-key' })
      .setIssuer('acme-pk')
      .setSubject('acme-pk')
      .setAudience(issuer)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(fixture.clientKey),
};

const post = async (path: string, form: Record<string, string>, headers = basic('acme-web')) => {
  const answer = await call(issuer + path, { form, headers });
  expectSafe(answer);
  return answer;
};

/** Whether each place takes what it is shown. */
const places: Record<string, (token: string) => Promise<boolean>> = {
  async userinfo(token) {
    const answer = await call(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
    expectSafe(answer);
    return answer.status === 200;
  },
  async introspection(token) {
    const answer = await post('/introspect', { token });
    return answer.status === 200 && JSON.parse(answer.body).active;
  },
  'a refresh': async (refresh_token) =>
    (await post('/token', { grant_type: 'refresh_token', refresh_token })).status === 200,
  'a code': async (code) => {
    const form = { grant_type: 'authorization_code', code, redirect_uri, code_verifier };
    return (await post('/token', form)).status === 200;
  },
  'client authentication': async (client_assertion) => {
    const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    return (
      (await post('/introspect', { token: 'x', client_assertion_type, client_assertion }, {})).status === 200
    );
  },
  async 'a hint at sign-out'(token) {
    const page = await agent.get(`${issuer}/logout?${new URLSearchParams({ id_token_hint: token })}`);
    expectSafe(page);
    return page.status === 200;
  },
  async 'a resource server'(token) {
    const verifier = createVerifier({ issuer, audience: resource });
    return verifier.verify(token, undefined, { scope: 'read' }).then(
      () => true,
      (error) => {
        expect(error).toMatchObject({ status: 401 });
        return false;
      },
    );
  },
};

const designed: Record<string, string[]> = {
  'ID token': ['a hint at sign-out'],
  'JWT access token': ['a resource server'],
  'opaque access token': ['userinfo', 'introspection'],
  'refresh token': ['introspection', 'a refresh'],
  'authorization code': ['a code'],
  'logout token': [],
  'client assertion': ['client authentication'],
};

test.each(Object.keys(kinds))(
  'the %s is taken where it belongs and nowhere else [A-071, RFC 8725 3.12]',
  async (kind) => {
    const taken: string[] = [];
    for (const [place, takes] of Object.entries(places)) {
      // A new one for each place: some are used up where they are taken.
      if (await takes(await kinds[kind]!())) {
        taken.push(place);
      }
    }
    expect(taken).toEqual(designed[kind]);
  },
);
