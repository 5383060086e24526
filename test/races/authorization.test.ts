import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type * as client from 'openid-client';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Answer, cookiesOf, keepCookies, outcome, race, tally } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent, readForms, type UserAgent } from '#test/support/user-agent.ts';

const rounds = 50;

let fixture: Fixture;
let cluster: Cluster;
/** A browser that is signed in to acme. */
let agent: UserAgent;
let web: client.Configuration;
let shared: client.Configuration;
let third: client.Configuration;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
  agent = makeUserAgent();
  ({ config: web } = await completeFlow(cluster.issuer, 'acme-web', { agent }));
  shared = await discover(cluster.issuer, 'shared-web');
  third = await discover(cluster.issuer, 'acme-third');
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

const pathOf = (url: string) => url.slice(cluster.issuer.length);

/** A code, or why there is none: the losers differ in where they learn it. */
const codeOrError = (answer: Answer) => (answer.redirected.has('code') ? 'code' : outcome(answer));

/** GETs of these URLs, as the browser would send them. */
async function raceAll(urls: string[]): Promise<Answer[]> {
  const requests = await Promise.all(
    urls.map(async (url) => ({ path: pathOf(url), headers: await cookiesOf(agent, url) })),
  );
  const answers = await race(cluster, requests);
  await keepCookies(agent, urls[0]!, answers);
  return answers;
}

/** One URL twenty times. */
async function raceUrl(url: string): Promise<Answer[]> {
  return raceAll(Array.from({ length: 20 }, () => url));
}

interface Consent {
  action: string;
  fields: Record<string, string>;
}

/** Opens a request of the third party and gives the form of its consent page. */
async function openConsent(url: URL): Promise<Consent> {
  const page = await agent.follow(await agent.get(url.href));
  const { action, fields } = readForms(page.body)[0]!;
  return { action: new URL(action, page.url).href, fields: { ...fields, decision: 'allow' } };
}

async function askForConsent(): Promise<Consent> {
  const { url } = await authorize(third, { prompt: 'consent', scope: 'openid email', resource: undefined });
  return openConsent(url);
}

/** Allows, and gives the URL that goes on with the request. */
async function allow({ action, fields }: Consent): Promise<string> {
  return (await agent.post(action, fields)).location!;
}

/** Forgets what was granted, and counts what was granted since. */
const forgetGrants = () =>
  runStatements(fixture.urls.superUrl, [`delete from protocol_store where model = 'Grant'`]);
const listGrants = () =>
  runStatements(fixture.urls.superUrl, [`select key from protocol_store where model = 'Grant'`]);

describe('of 20 at once over two nodes exactly one', () => {
  test.each([
    ['a tenant’s own client', () => web, {}],
    ['a shared client, whose pushed request names the tenant', () => shared, { tenant: 'acme' }],
  ])('uses a pushed request without a page, for %s [A-042, RFC 9126 4]', async (_, config, parameters) => {
    await browse(agent, (await authorize(config(), parameters)).url);
    for (let round = 0; round < rounds; round++) {
      const { url } = await authorize(config(), { prompt: 'none', ...parameters }, { pushed: true });
      const answers = await raceUrl(url.href);
      expect(tally(answers, outcome)).toEqual({ '303 code': 1, 400: 19 });
    }
  });

  test('gets a code from a pushed request that four interactions began with [A-042]', async () => {
    for (let round = 0; round < rounds; round++) {
      const { url } = await authorize(third, { prompt: 'consent', scope: 'openid' }, { pushed: true });
      const resumes: string[] = [];
      for (let tab = 0; tab < 4; tab++) {
        resumes.push(await allow(await openConsent(url)));
      }
      const answers = await raceAll(Array.from({ length: 5 }, () => resumes).flat());
      expect(tally(answers, codeOrError)).toEqual({ code: 1, 400: 19 });
    }
  });

  test('resumes an interaction [A-037]', async () => {
    for (let round = 0; round < rounds; round++) {
      const answers = await raceUrl(await allow(await askForConsent()));
      expect(tally(answers, codeOrError)).toEqual({ code: 1, 400: 19 });
    }
  });

  test('makes a grant of a consent form sent twenty times, and one code comes of it [A-037]', async () => {
    for (let round = 0; round < rounds; round++) {
      await forgetGrants();
      const { action, fields } = await askForConsent();
      const answers = await race(cluster, {
        path: pathOf(action),
        headers: await cookiesOf(agent, action),
        form: fields,
      });
      expect(tally(answers, outcome)).toEqual({ 303: 20 });
      expect(await listGrants()).toHaveLength(1);
      const resumes = new Set(answers.map(({ headers }) => headers.get('location')));
      expect(resumes.size).toBe(1);
      expect(tally(await raceUrl([...resumes][0]!), codeOrError)).toEqual({ code: 1, 400: 19 });
    }
  });
});
