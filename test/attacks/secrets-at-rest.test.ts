import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, password, post_logout_redirect_uri } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { openLogin } from '#test/support/login-form.ts';
import { runStatements } from '#test/support/postgres.ts';
import { findSecrets, spellings, watchSecrets } from '#test/support/secrets.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let secrets: [name: string, value: string][];
let names: Set<string>;
let dump: string;
let log: string;

const typo = 'the password of my bank, by mistake';
const wrongSecret = 'a client secret of another system';

beforeAll(async () => {
  fixture = await createFixture();
  // An operator who looks for an error sees most.
  node = await startNode(fixture, { env: { LOG_LEVEL: 'trace' } });
  issuer = node.url;
  const watch = watchSecrets();
  watch.add('a mistyped password', typo);
  watch.add('a wrong client secret', wrongSecret);
  try {
    await runFlows();
    await failInManyWays();
  } finally {
    watch.stop();
  }
  secrets = watch.list();
  names = watch.names;
  // The log is written behind the answers: this line is its last.
  await call(`${issuer}/none/last-request`);
  await eventually(() => node.log.findLast(({ path }) => path === '/none/last-request'));
  log = JSON.stringify(node.log);
  dump = await dumpDatabase();
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

async function runFlows() {
  const opaque = { resource: undefined, scope: 'openid email profile' };
  const { agent, config, tokens } = await completeFlow(issuer, 'acme-web', { parameters: opaque });
  await client.fetchUserInfo(config, tokens.access_token, fixture.acme.users.alice);
  await client.tokenIntrospection(config, tokens.access_token);
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token!);
  await client.refreshTokenGrant(config, tokens.refresh_token!).catch(() => {});
  await client.tokenRevocation(config, refreshed.access_token);
  // Left unfinished, each of them: what waits is what a dump would be read for.
  await completeFlow(issuer, 'acme-spa');
  await completeFlow(issuer, 'shared-web', { parameters: { ...opaque, tenant: 'globex' } });
  await client.clientCredentialsGrant(await discover(issuer, 'acme-m2m'));
  const pk = await completeFlow(issuer, 'acme-pk', {
    clientKey: fixture.clientKey,
    pushed: true,
    dpop: async (configuration) => client.getDPoPHandle(configuration, await client.randomDPoPKeyPair()),
  });
  await authorize(await discover(issuer, 'shared-web'), {}, { pushed: true });
  await authorize(await discover(issuer, 'acme-web'), {}, { pushed: true });
  expect(pk.tokens.token_type).toBe('dpop');
  const third = await authorize(await discover(issuer, 'acme-third'), {
    scope: 'openid offline_access',
    prompt: 'consent',
  });
  const other = makeUserAgent();
  const login = await other.follow(await other.get(third.url.href));
  await other.submit(login, { email: 'bob@example.test', password });
  await browse(agent, (await authorize(config)).url);
  await openLogin(issuer);
  const goodbye = client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token!,
    post_logout_redirect_uri,
  });
  await agent.get(goodbye.href);
}

/** Secrets where they do not belong: what is refused is logged. */
async function failInManyWays() {
  const { tokens, config } = await completeFlow(issuer, 'acme-web', { parameters: { resource: undefined } });
  const { url, checks } = await authorize(config);
  const code = (await browse(makeUserAgent(), url)).searchParams.get('code')!;
  const form = await openLogin(issuer);
  await form.send({ email: 'alice@example.test', password: typo });
  await form.send({ email: typo, password: typo });
  await form.sendRaw(`email=${encodeURIComponent(typo)}&password=%ff`);
  const everything = {
    code,
    access_token: tokens.access_token,
    refresh_token: tokens.refresh_token!,
    id_token_hint: tokens.id_token!,
    token: tokens.access_token,
    password: typo,
    client_secret: wrongSecret,
    code_verifier: checks.pkceCodeVerifier,
    state: checks.expectedState,
    scope: tokens.access_token,
    resource: `https://api.test/${tokens.refresh_token}`,
    request_uri: `urn:ietf:params:oauth:request_uri:${code}`,
    client_id: 'acme-web',
    redirect_uri: `https://evil.test/${code}`,
  };
  const query = new URLSearchParams(everything);
  for (const path of [
    '/auth',
    '/token',
    '/par',
    '/userinfo',
    '/introspect',
    '/revoke',
    '/logout',
    '/workspace',
    '/jwks',
    '/none',
  ]) {
    await call(`${issuer}${path}?${query}`);
    await call(`${issuer}${path}?${query}`, { form: everything });
    await call(`${issuer}${path}`, {
      form: { ...everything, grant_type: 'authorization_code' },
      headers: basic('acme-web', wrongSecret),
    });
    await call(`${issuer}${path}`, {
      method: 'POST',
      body: JSON.stringify(everything),
      headers: { 'content-type': 'application/json' },
    });
    await call(`${issuer}${path}`, { form: { ...everything, grant_type: code }, headers: basic('acme-web') });
    await call(`${issuer}${path}`, {
      headers: { authorization: `Bearer ${tokens.access_token} x`, dpop: tokens.access_token },
    });
  }
}

async function dumpDatabase(): Promise<string> {
  const tables = await runStatements(fixture.urls.superUrl, [
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  ]);
  expect(tables.length).toBeGreaterThan(10);
  const rows = await runStatements(fixture.urls.superUrl, [
    tables.map(({ name }) => `select '${name} ' || t::text as row from ${name} t`).join(' union all '),
  ]);
  return rows.map(({ row }) => row).join('\n');
}

describe('after many flows, finished, unfinished and failed [G-09, I-14]', () => {
  test('every kind of secret was met [control]', () => {
    expect([...names].sort()).toEqual([
      ...[
        'a mistyped password',
        'a wrong client secret',
        'access_token',
        'authorization',
        'client_assertion',
      ],
      ...['client_secret', 'code', 'code_verifier', 'cookie', 'csrf', 'dpop', 'id_token', 'id_token_hint'],
      ...['nonce', 'password', 'refresh_token', 'request_uri', 'state', 'token', 'uid', 'xsrf'],
    ]);
    expect(secrets.length).toBeGreaterThan(100);
  });

  test('the database holds what it should, and no secret of anybody', () => {
    expect(dump).toContain('protocol_store (');
    expect(dump).toContain('alice@example.test');
    expect(findSecrets(dump, secrets)).toEqual([]);
  });

  test('the log holds requests and refusals, no secret, no address and nothing typed', () => {
    expect(log).toContain('"msg":"request"');
    expect(log).toContain('"msg":"refused"');
    expect(findSecrets(log, secrets)).toEqual([]);
    expect(log).not.toMatch(/@example\.test|evil\.test/);
  });

  test('a secret would be found in each spelling [control]', () => {
    const value = 'a secret of 28 characters, é';
    const bytes = Buffer.from(value);
    for (const planted of [
      value,
      encodeURIComponent(value),
      bytes.toString('hex'),
      bytes.toString('base64'),
      bytes.toString('base64url'),
      Buffer.from(`xy${value}z`).toString('base64'),
      Buffer.from(Buffer.from(`x${value}yz`).toString('base64')).toString('hex'),
    ]) {
      expect(findSecrets(`before ${planted} behind`, [['canary', value]])).toEqual([`canary ${value}`]);
    }
    expect(spellings('A'.repeat(43)).length).toBeGreaterThan(6);
  });
});
