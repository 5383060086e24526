import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { changeUserStatus, type UserStatus } from '#src/domain/users/life-cycle.ts';
import { putUser } from '#src/domain/users/users.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { obtainCode } from '#test/support/code.ts';
import { comparable, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri, secretOf } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover } from '#test/support/flow.ts';
import { isSignedIn, openLogin } from '#test/support/login-form.ts';
import { basic, cookiesOf, outcome, type RawRequest, race } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent, type Page } from '#test/support/user-agent.ts';

let fixture: Fixture;
let cluster: Cluster;
let issuer: string;
let hash: string;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
  issuer = cluster.issuer;
  hash = await hashPassword(password);
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

const inAcme = <T>(work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);
const move = async (id: string, to: UserStatus) =>
  expect(await inAcme((tx) => changeUserStatus(tx, id, to))).toEqual({ ok: true });

/** Makes a user of acme, invited when there is to be no password. */
async function addUser(name: string, password_hash: string | null = hash) {
  const email = `${name}@example.test`;
  const id = await inAcme((tx) =>
    putUser(tx, {
      email,
      email_verified: true,
      name,
      password_hash: password_hash ?? undefined,
      roles: ['admin'],
    }),
  );
  return { id, email };
}

/** What each of the two nodes answers, asked now and once. */
async function askBoth(request: RawRequest): Promise<string[]> {
  const answers = await race(cluster, request, 2);
  for (const { status } of answers) {
    expect(status).toBeLessThan(500);
  }
  return answers.map(outcome);
}

const post = (path: string, form: Record<string, string>): RawRequest => ({
  path,
  headers: basic('acme-web', secretOf('acme-web')),
  form,
});

/** Everything that a user may hold, each as what both nodes are asked with it. */
async function holdEverything(email: string) {
  const agent = makeUserAgent();
  const parameters = { resource: undefined, scope: 'openid email' };
  const { config, tokens } = await completeFlow(issuer, 'acme-web', { agent, email, parameters });
  const { code, code_verifier } = await obtainCode(issuer, 'acme-web', { agent });
  const silent = (await authorize(config, { ...parameters, prompt: 'none' })).url;
  const session = { path: silent.pathname + silent.search, headers: await cookiesOf(agent, silent.href) };
  const typed = await openLogin(issuer);
  const posted = await typed.send({ email, password });
  expect(isSignedIn(posted)).toBe(true);
  return {
    agent,
    config,
    tokens,
    session,
    code: post('/token', { grant_type: 'authorization_code', code, code_verifier, redirect_uri }),
    refresh: post('/token', { grant_type: 'refresh_token', refresh_token: tokens.refresh_token! }),
    introspect: post('/introspect', { token: tokens.access_token }),
    userinfo: {
      path: '/userinfo',
      headers: { accept: 'application/json', authorization: `Bearer ${tokens.access_token}` },
    },
    /** A sign-in whose password was typed, and another whose form is open. */
    typed: { agent: typed.agent, resume: posted.location! },
    open: await openLogin(issuer),
  };
}

describe.each(['disabled', 'compromised', 'erased'] as const)('a user who becomes %s', (status) => {
  test('has nothing from that moment on, on either node [A-067, G-13, 7.4.2, 8.3.2]', async () => {
    const { id, email } = await addUser(`becomes-${status}`);
    const held = await holdEverything(email);
    expect(await askBoth(held.session)).toEqual(['303 code', '303 code']);
    expect(await askBoth(held.userinfo)).toEqual(['200', '200']);

    await move(id, status);
    expect(await askBoth(held.userinfo)).toEqual(['401 invalid_token', '401 invalid_token']);
    for (const { json } of await race(cluster, held.introspect, 2)) {
      expect(json).toEqual({ active: false });
    }
    const expectNothing = async () => {
      expect(await askBoth(held.refresh)).toEqual(['400 invalid_grant', '400 invalid_grant']);
      expect(await askBoth(held.code)).toEqual(['400 invalid_grant', '400 invalid_grant']);
      expect(await askBoth(held.session)).toEqual(['303 login_required', '303 login_required']);
    };
    await expectNothing();

    const resumed = await held.typed.agent.follow(await held.typed.agent.get(held.typed.resume));
    expectSafe(resumed);
    expect(resumed.location ?? '').not.toContain('code=');
    const tried = await held.open.send({ email, password });
    expectSafe(tried);
    expect(isSignedIn(tried)).toBe(false);
    expect(tried.status).toBe(status === 'compromised' ? 200 : 401);

    if (status === 'disabled') {
      await move(id, 'active');
      await expectNothing();
      const { tokens } = await completeFlow(issuer, 'acme-web', { email });
      await client.refreshTokenGrant(held.config, tokens.refresh_token!);
    }
  });
});

describe('the address of an erased user', () => {
  test('is free: who has it next is somebody else, whom nothing of before serves', async () => {
    const { id, email } = await addUser('again');
    const held = await holdEverything(email);
    await move(id, 'erased');
    const next = await addUser('again');
    expect(next.id).not.toBe(id);
    expect(await askBoth(held.refresh)).toEqual(['400 invalid_grant', '400 invalid_grant']);
    expect(await askBoth(held.session)).toEqual(['303 login_required', '303 login_required']);
    const { tokens } = await completeFlow(issuer, 'acme-web', { email });
    expect(tokens.claims()).toMatchObject({ sub: next.id });
  });
});

describe('an invited user', () => {
  test('is active from the password on that a file gives, and signs in with it', async () => {
    const { id, email } = await addUser('invited-first', null);
    const hashing = makePasswordHashing(
      makeHashingQueue({ concurrency: 1, maxWaiting: 5, maxWaitMs: 30_000 }),
    );
    const file = { tenants: [{ slug: 'acme', users: [{ email, password }] }] };
    await applyConfiguration(
      { db: fixture.db, hashing, now: () => new Date() },
      parseConfiguration(JSON.stringify(file), {}),
    );
    const { tokens } = await completeFlow(issuer, 'acme-web', { email });
    expect(tokens.claims()).toMatchObject({ sub: id });
  });
});

test('nothing tells one state from another, or from nobody: the right password gets the same answer [A-089]', async () => {
  const form = await openLogin(issuer);
  const shape = async (email: string) => {
    const answer: Page = await expectUnchanged(fixture, () => form.send({ email, password }));
    expectSafe(answer);
    const { body, ...rest } = comparable(answer);
    return { ...rest, body: body.replaceAll(email, 'typed') };
  };
  const unknown = await shape('nobody@example.test');
  expect(unknown.status).toBe(401);
  for (const status of ['invited', 'disabled', 'erased'] as const) {
    const { id, email } = await addUser(`alike-${status}`, status === 'invited' ? null : hash);
    await move(id, status);
    expect(await shape(email)).toEqual(unknown);
    expect(await shape(`erased-${id}@erased.invalid`)).toEqual(unknown);
  }
  const passwordless = await inAcme((tx) =>
    putUser(tx, {
      email: 'keyless@example.test',
      email_verified: true,
      name: null,
      status: 'active',
      roles: [],
    }),
  );
  expect(passwordless).toEqual(expect.any(String));
  expect(await shape('keyless@example.test')).toEqual(unknown);
});

test('the erased user’s own session page names nobody, and the sign-in page comes instead', async () => {
  const { id, email } = await addUser('visitor');
  const { agent } = await completeFlow(issuer, 'acme-web', { email });
  await move(id, 'erased');
  const { url } = await authorize(await discover(issuer, 'acme-web'));
  const page = await agent.follow(await agent.get(url.href));
  expectSafe(page);
  expect(page.body).toContain('name="password"');
  expect(page.body).not.toContain(email);
  const logout = await agent.get(`${issuer}/logout`);
  expectSafe(logout);
  expect(logout.body).not.toContain(email);
});
