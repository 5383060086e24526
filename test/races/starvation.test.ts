import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { putUser } from '#src/domain/users/users.ts';
import {
  createFixture,
  type Fixture,
  password,
  redirect_uri,
  resource,
  secretOf,
} from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { basic, cookiesOf, outcome, type RawRequest, race, tally } from '#test/support/race.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { makeUserAgent, readForms } from '#test/support/user-agent.ts';

/** A node has ten connections for requests and three for what a request needs beside its own. */
let fixture: Fixture;
let node: Node;

beforeEach(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
});
afterEach(async () => {
  await node?.stop();
  await fixture?.drop();
});

const send = (requests: RawRequest[]) => race({ issuer: node.url, nodes: [node] }, requests);

function machineToken(index: number): RawRequest {
  const client_id = index % 2 ? 'acme-m2m' : 'globex-m2m';
  return {
    path: '/token',
    headers: basic(client_id, secretOf(client_id)),
    form: { grant_type: 'client_credentials', resource },
  };
}

/** A sign-in form as a browser of its own would send it. */
async function signInForm(email: string): Promise<RawRequest> {
  const agent = makeUserAgent();
  const { url } = await authorize(await discover(node.url, 'acme-web'));
  const page = await agent.follow(await agent.get(url.href));
  const { action, fields } = readForms(page.body)[0]!;
  return {
    path: action,
    headers: await cookiesOf(agent, new URL(action, page.url).href),
    form: { ...fields, email, password },
  };
}

describe('requests do not starve one another of connections', () => {
  test('100 token requests at once of a process that has read nothing yet all get a token [F-04]', async () => {
    const answers = await send(Array.from({ length: 100 }, (_, index) => machineToken(index)));
    expect(tally(answers, outcome)).toEqual({ 200: 100 });
  });

  test('40 codes at once of a process that has read nothing yet all get their tokens [F-04]', async () => {
    const { agent, config } = await completeFlow(node.url, 'acme-web');
    const requests: RawRequest[] = [];
    for (let index = 0; index < 40; index++) {
      const { url, checks } = await authorize(config, { prompt: 'none' });
      const callback = await browse(agent, url);
      requests.push({
        path: '/token',
        headers: basic('acme-web', secretOf('acme-web')),
        form: {
          grant_type: 'authorization_code',
          code: callback.searchParams.get('code')!,
          redirect_uri,
          code_verifier: checks.pkceCodeVerifier,
        },
      });
    }
    const issuer = node.url;
    await node.stop();
    node = await startNode(fixture, { issuer });
    const answers = await race({ issuer, nodes: [node] }, requests);
    expect(tally(answers, outcome)).toEqual({ 200: 40 });
  });

  test('30 sign-ins at once, which hash passwords, hold up none of 60 token requests [F-19]', async () => {
    const forms: RawRequest[] = [];
    // Of as many people: of one account only so many are checked at once as may fail.
    const emails = Array.from({ length: 30 }, (_, index) => `person-${index}@example.test`);
    const password_hash = await hashPassword(password);
    await withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
      for (const email of emails) {
        await putUser(tx, { email, email_verified: true, name: null, password_hash, roles: [] });
      }
    });
    for (const email of emails) {
      forms.push(await signInForm(email));
    }
    const answers = await send([...forms, ...Array.from({ length: 60 }, (_, index) => machineToken(index))]);
    expect(tally(answers.slice(30), outcome)).toEqual({ 200: 60 });
    // A sign-in may be told to come back later, never that something broke.
    const { 303: signedIn = 0, ...others } = tally(answers.slice(0, 30), outcome);
    expect(signedIn).toBeGreaterThan(0);
    expect(Object.keys(others).filter((kind) => !/^(429|503)/.test(kind))).toEqual([]);
  });
});
