import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { putUser } from '#src/domain/users/users.ts';
import { basic, call } from '#test/support/call.ts';
import { createFixture, type Fixture, password, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, discover } from '#test/support/flow.ts';
import { isSignedIn, openLogin } from '#test/support/login-form.ts';
import { cookiesOf, type RawRequest, race, basic as rawBasic, tally } from '#test/support/race.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, readForms } from '#test/support/user-agent.ts';

const size = 500;

let fixture: Fixture;
let node: Node;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const password_hash = await hashPassword(password);
  await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
    for (let index = 0; index < size; index++) {
      await putUser(tx, { email: emailOf(index), email_verified: true, name: 'P', password_hash, roles: [] });
    }
  });
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const emailOf = (index: number) => `person-${index}@example.test`;

/** Filled-in sign-in forms of so many people, each in a browser and at an address of its own. */
async function fillForms(): Promise<RawRequest[]> {
  const config = await discover(node.url, 'acme-web');
  const forms: RawRequest[] = [];
  for (let index = 0; index < size; index++) {
    const from = { 'x-forwarded-for': `10.0.${index >> 8}.${index & 255}` };
    const agent = makeUserAgent();
    const asked = await agent.get((await authorize(config)).url.href, from);
    const page = await agent.get(asked.location!, from);
    const { action, fields } = readForms(page.body)[0]!;
    forms.push({
      path: action,
      headers: { ...from, ...(await cookiesOf(agent, new URL(action, page.url).href)) },
      form: { ...fields, email: emailOf(index), password },
    });
  }
  return forms;
}

test('500 sign-ins at once leave the rest of the server at work; those too many are told when to come back [A-202, 15.1.3]', async () => {
  const forms = await fillForms();
  const others: RawRequest[] = Array.from({ length: 20 }, () => [
    { path: '/jwks' },
    { path: '/.well-known/openid-configuration' },
    {
      path: '/token',
      headers: rawBasic('acme-m2m', secretOf('acme-m2m')),
      form: { grant_type: 'client_credentials', resource },
    },
  ]).flat();
  const answers = await race({ issuer: node.url, nodes: [node] }, [...forms, ...others]);

  expect(tally(answers.slice(size), ({ status }) => String(status))).toEqual({ 200: 60 });
  const logins = answers.slice(0, size);
  const kinds = tally(logins, ({ status }) => String(status));
  expect(Object.keys(kinds).sort()).toEqual(['303', '503']);
  const refused = logins.filter(({ status }) => status === 503);
  for (const { headers } of refused) {
    expect(headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
  }
  // On a slow machine some wait for a connection to the database in vain, which comes before the page; the queue gives the page.
  expect(refused.some(({ body }) => body.includes('name="password"'))).toBe(true);

  const form = await openLogin(node.url);
  expect(isSignedIn(await form.send({ email: 'alice@example.test', password }))).toBe(true);
  const token = { grant_type: 'client_credentials', resource };
  expect((await call(`${node.url}/token`, { form: token, headers: basic('acme-m2m') })).status).toBe(200);
});

test('whoever was told to come back signs in with the same form', async () => {
  const forms = await fillForms();
  const cluster = { issuer: node.url, nodes: [node] };
  const answers = await race(cluster, forms);
  const refused = forms.filter((_, index) => answers[index]!.status === 503).slice(0, 3);
  expect(refused).toHaveLength(3);
  expect(tally(await race(cluster, refused), ({ status }) => String(status))).toEqual({ 303: 3 });
});
