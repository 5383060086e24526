import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { putClient } from '#src/domain/clients/clients.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { basic, call } from '#test/support/call.ts';
import { obtainCode, redeem, refresh } from '#test/support/code.ts';
import { eventually } from '#test/support/eventually.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import {
  createFixture,
  type Fixture,
  password,
  redirect_uri,
  resource,
  secretOf,
} from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover, signIn } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;

const allowTenants = (allowed_tenants: string[]) =>
  withTenant(fixture.db, platformTenantId, (tx) =>
    tx.updateTable('clients').set({ allowed_tenants }).where('client_id', '=', 'some-web').execute(),
  );

beforeAll(async () => {
  fixture = await createFixture();
  await withTenant(fixture.db, platformTenantId, async (tx) => {
    await putClient(tx, {
      client_id: 'some-web',
      client_name: 'For some',
      shared: true,
      allowed_tenants: ['acme'],
      first_party: true,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [redirect_uri],
      resources: JSON.stringify([{ identifier: resource, scopes: ['read'] }]),
    });
    await addClientSecret(tx, 'some-web', { secret: secretOf('some-web') });
  });
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const request = (client_id: string, parameters: Record<string, string> = {}) =>
  new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid',
    state: 's',
    code_challenge: 'a'.repeat(43),
    code_challenge_method: 'S256',
    ...parameters,
  });

async function open(agent: UserAgent, query: URLSearchParams): Promise<Page> {
  const page = await agent.follow(await agent.get(`${issuer}/auth?${query}`));
  expectSafe(page);
  return page;
}

const errorOf = ({ location }: Page) => location && new URL(location).searchParams.get('error');

describe('the tenant parameter', () => {
  test('of a tenant’s own client cannot name another one [decision 3]', async () => {
    const { tenant_id, slug } = fixture.globex;
    for (const tenant of [
      slug,
      tenant_id,
      platformTenantId,
      'unknown',
      'ACME',
      'acme ',
      '%',
      'a'.repeat(2_000),
    ]) {
      const page = await expectUnchanged(fixture, () =>
        open(makeUserAgent(), request('acme-web', { tenant })),
      );
      expect(errorOf(page)).toBe('invalid_request');
      const pushed = await call(`${issuer}/par`, {
        form: Object.fromEntries(request('acme-web', { tenant })),
        headers: basic('acme-web'),
      });
      expectRefusal(pushed, { status: 400, error: 'invalid_request' });
    }
    for (const tenant of ['acme', fixture.acme.tenant_id]) {
      expect((await open(makeUserAgent(), request('acme-web', { tenant }))).url).toContain('/login/');
    }
  });

  test('of a shared client names a tenant of people, or somebody is asked [decision 4]', async () => {
    for (const tenant of [
      platformTenantId,
      'platform',
      'unknown',
      'ACME',
      '../acme',
      "acme' or 1=1",
      'a'.repeat(2_000),
    ]) {
      const page = await expectUnchanged(fixture, () =>
        open(makeUserAgent(), request('shared-web', { tenant })),
      );
      expect(page.url).toContain('/workspace?');
      expect(page.status).toBe(200);
    }
    const twice = request('shared-web', { tenant: 'acme' });
    twice.append('tenant', 'globex');
    expect((await open(makeUserAgent(), twice)).url).toContain('/workspace?');
  });

  test('and the workspace page open no client to a tenant that it may not serve [decision 4]', async () => {
    const asked = async (query: URLSearchParams) => {
      const page = await open(makeUserAgent(), query);
      expect(page.url).toContain('/workspace?');
      return page;
    };
    await asked(request('some-web', { tenant: 'globex' }));
    await asked(request('some-web', { tenant: fixture.globex.tenant_id }));
    await asked(request('some-web', { login_hint: 'alice@globex.test' }));
    const queries = [
      request('some-web').toString(),
      request('some-web', { tenant: 'globex' }).toString(),
      request('acme-web').toString(),
      request('globex-web').toString(),
      request('unknown').toString(),
      `client_id=acme-web&${request('some-web')}`,
      '',
    ];
    for (const query of queries) {
      for (const workspace of ['globex', fixture.globex.tenant_id, 'alice@globex.test', platformTenantId]) {
        const page = await makeUserAgent().post(`${issuer}/workspace`, { query, workspace });
        expectSafe(page);
        expect(page.status).toBe(404);
        expect(page.location).toBeUndefined();
      }
    }
    const page = await makeUserAgent().post(`${issuer}/workspace`, {
      query: request('some-web', { tenant: 'globex' }).toString(),
      workspace: 'acme',
    });
    expect(new URL(page.location!).searchParams.getAll('tenant')).toEqual(['acme']);
  });

  test('nor any claim is taken from a request [O-24]', async () => {
    const games = {
      tenant_id: fixture.globex.tenant_id,
      sub: fixture.acme.users.bob,
      roles: 'admin',
      acr: 'urn:x',
    };
    const code = await obtainCode(issuer, 'acme-web', {
      parameters: { scope: 'openid read', resource, ...games },
    });
    const answer = await redeem(issuer, code, { form: { ...games, tenant: 'globex' } });
    const tokens = JSON.parse(answer.body);
    const expected = { tenant_id: fixture.acme.tenant_id, sub: fixture.acme.users.alice };
    expect(decodeJwt(tokens.access_token)).toMatchObject({ ...expected, roles: [], acr: 'urn:tessera:aal1' });
    expect(decodeJwt(tokens.id_token)).toMatchObject(expected);
    const machine = await call(`${issuer}/token`, {
      form: { grant_type: 'client_credentials', scope: 'read', tenant: 'globex', ...games },
      headers: basic('acme-m2m'),
    });
    expect(decodeJwt(JSON.parse(machine.body).access_token)).toMatchObject({
      tenant_id: fixture.acme.tenant_id,
      sub: 'acme-m2m',
    });
  });
});

describe('a session of one tenant', () => {
  const cookiesOf = async (agent: UserAgent) =>
    (await agent.jar.getCookies(issuer)).filter(({ key }) => key.startsWith('session-'));

  test('opens nothing in another under any name [A-155, decision 3]', async () => {
    const { agent } = await completeFlow(issuer, 'acme-web');
    const cookies = await cookiesOf(agent);
    expect(cookies.map(({ key }) => key.replace(fixture.acme.tenant_id, '')).sort()).toEqual([
      'session-',
      'session-.sig',
    ]);
    const names = [
      `session-${fixture.globex.tenant_id}`,
      `session-${platformTenantId}`,
      'session',
      'session-',
    ];
    const silent = request('globex-web', { prompt: 'none' });
    const shared = request('shared-web', { prompt: 'none', tenant: 'globex' });
    for (const name of names) {
      const cookie = cookies
        .map(({ key, value }) => `${key.replace(`session-${fixture.acme.tenant_id}`, name)}=${value}`)
        .join('; ');
      for (const query of [silent, shared]) {
        const answer = await call(`${issuer}/auth?${query}`, { headers: { cookie } });
        expectSafe(answer);
        expect(answer.headers.get('location')).toContain('error=login_required');
      }
    }
    const both = await call(`${issuer}/auth?${request('shared-web', { prompt: 'none' })}`, {
      headers: { cookie: cookies.map(({ key, value }) => `${key}=${value}`).join('; ') },
    });
    expect(both.headers.get('location')).toContain('error=login_required');
  });

  test('is not found by a cookie with another signature, another id, or none [O-04]', async () => {
    const { agent } = await completeFlow(issuer, 'acme-web');
    const name = `session-${fixture.acme.tenant_id}`;
    const cookies = Object.fromEntries((await cookiesOf(agent)).map(({ key, value }) => [key, value]));
    const [value, signature] = [cookies[name]!, cookies[`${name}.sig`]!];
    const forged = [
      `${name}=${value}`,
      `${name}=${value}; ${name}.sig=${signature.slice(1)}`,
      `${name}=${value}x; ${name}.sig=${signature}`,
      `${name}=; ${name}.sig=${signature}`,
    ];
    for (const cookie of forged) {
      const answer = await call(`${issuer}/auth?${request('acme-web', { prompt: 'none' })}`, {
        headers: { cookie },
      });
      expectSafe(answer);
      expect(answer.headers.get('location')).toContain('error=login_required');
    }
  });

  test('resumes no sign-in of another [A-037]', async () => {
    const [acme, globex] = [makeUserAgent(), makeUserAgent()];
    const page = await open(acme, request('acme-web'));
    const other = await open(globex, request('globex-web'));
    const [form] = readForms(other.body);
    const done = await globex.post(new URL(form!.action, issuer).href, {
      ...form!.fields,
      email: 'alice@example.test',
      password,
    });
    const cookie = await globex.jar.getCookieString(done.location!);
    const uid = page.url.slice(page.url.lastIndexOf('/') + 1);
    const answer = await call(`${issuer}/auth/${uid}`, { headers: { cookie, accept: 'text/html' } });
    expectSafe(answer);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('location')).toBeNull();
    expect((await globex.follow(done)).location).toContain('code=');
    expect((await signIn(acme, page)).location).toContain('code=');
  });
});

describe('a pushed request of a shared client', () => {
  test('may be opened again, by a reload or in another window, until it gave a code [RFC 9126 4]', async () => {
    const { url } = await authorize(await discover(issuer, 'shared-web'), {}, { pushed: true });
    url.searchParams.set('tenant', 'acme');
    const agent = makeUserAgent();
    for (let visit = 0; visit < 2; visit++) {
      expect((await agent.follow(await agent.get(url.href))).url).toContain('/login/');
    }
    expect((await browse(agent, url)).searchParams.has('code')).toBe(true);
    const again = await makeUserAgent().get(url.href);
    expectSafe(again);
    expect(again.location ?? '').not.toContain('code=');
    url.searchParams.set('tenant', 'globex');
    const elsewhere = await makeUserAgent().get(url.href);
    expectSafe(elsewhere);
    expect(elsewhere.status).toBe(400);
  });

  test('gives one code, though two tenants are chosen for it at once [A-041, decision 9]', async () => {
    const agents = { acme: makeUserAgent(), globex: makeUserAgent() };
    for (const tenant of ['acme', 'globex'] as const) {
      await completeFlow(issuer, 'shared-web', { agent: agents[tenant], parameters: { tenant } });
    }
    for (let round = 0; round < 5; round++) {
      const { url } = await authorize(await discover(issuer, 'shared-web'), {}, { pushed: true });
      const pages = await Promise.all(
        (['acme', 'globex'] as const).flatMap((tenant) =>
          [1, 2].map(() => agents[tenant].get(`${url.href}&tenant=${tenant}`)),
        ),
      );
      pages.forEach(expectSafe);
      expect(pages.filter(({ location }) => location?.includes('code='))).toHaveLength(1);
    }
  });
});

describe('a token', () => {
  test('of one client is shown to nobody else, and ended by nobody else [M-7, O-27, O-28, RFC 7662 4]', async () => {
    const parameters = { scope: 'openid email', resource: undefined };
    const { config, tokens } = await completeFlow(issuer, 'acme-web', { parameters });
    for (const token of [tokens.access_token, tokens.refresh_token!]) {
      for (const client_id of [
        'acme-third',
        'acme-m2m',
        'globex-web',
        'globex-m2m',
        'shared-web',
        'some-web',
      ]) {
        for (const hint of ['access_token', 'refresh_token', undefined]) {
          const form = { token, token_type_hint: hint };
          const shown = await call(`${issuer}/introspect`, { form, headers: basic(client_id) });
          expectSafe(shown);
          expect(JSON.parse(shown.body)).toEqual({ active: false });
          const revoked = await call(`${issuer}/revoke`, { form, headers: basic(client_id) });
          expectSafe(revoked);
        }
      }
      const form = { token, client_id: 'acme-spa' };
      expectSafe(await call(`${issuer}/introspect`, { form }));
      expectSafe(await call(`${issuer}/revoke`, { form }));
      expect(await client.tokenIntrospection(config, token)).toMatchObject({ active: true });
    }
    for (const form of [
      { token: tokens.access_token },
      { token: tokens.access_token, client_id: 'acme-web' },
    ]) {
      const answer = await call(`${issuer}/introspect`, { form });
      expectSafe(answer);
      expect(answer.body).not.toContain(fixture.acme.users.alice);
      expect([400, 401]).toContain(answer.status);
    }
  });

  test('of one tenant refreshes in no other [A-062]', async () => {
    const { tokens } = await completeFlow(issuer, 'shared-web', { parameters: { tenant: 'acme' } });
    for (const client_id of ['globex-web', 'acme-web', 'some-web']) {
      const answer = await expectUnchanged(fixture, () => refresh(issuer, client_id, tokens.refresh_token!));
      expectRefusal(answer, { status: 400, error: 'invalid_grant' });
    }
    const refreshed = await refresh(issuer, 'shared-web', tokens.refresh_token!);
    expect(decodeJwt(JSON.parse(refreshed.body).access_token)['tenant_id']).toBe(fixture.acme.tenant_id);
  });

  test('of a shared client is of no more use when the tenant may no longer use that client [decision 4]', async () => {
    const parameters = { tenant: 'acme', scope: 'openid email', resource: undefined };
    const { agent, tokens } = await completeFlow(issuer, 'some-web', { parameters });
    const code = await obtainCode(issuer, 'some-web', { agent, parameters });
    const userinfo = () =>
      call(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    expect((await userinfo()).status).toBe(200);

    await allowTenants(['globex']);
    await eventually(async () => ((await userinfo()).status === 401 ? true : undefined));
    expectSafe(await userinfo());
    expectRefusal(await refresh(issuer, 'some-web', tokens.refresh_token!), {
      status: 400,
      error: 'invalid_grant',
    });
    expectRefusal(await redeem(issuer, code), { status: 400, error: 'invalid_grant' });
    expect((await open(agent, request('some-web', { tenant: 'acme' }))).url).toContain('/workspace?');

    await allowTenants(['acme']);
    const { url } = await authorize(await discover(issuer, 'some-web'), { tenant: 'acme' });
    await eventually(async () => {
      const page = await makeUserAgent().get(url.href);
      return page.location?.includes('/login/') || undefined;
    });
    expect((await browse(makeUserAgent(), url)).searchParams.has('code')).toBe(true);
  });
});
