import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { makeMailbox } from '#src/lib/mailbox.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { authorize, discover, signIn } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode, unlimitedSignIns } from '#test/support/server.ts';
import { makeUserAgent, type Page, type UserAgent } from '#test/support/user-agent.ts';

const alice = 'alice@example.test';

let fixture: Fixture;
let node: Node;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: unlimitedSignIns });
});

afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

/** As if nobody had ever signed in. */
beforeEach(async () => {
  await runStatements(fixture.urls.superUrl, [
    'delete from known_devices',
    'update users set failed_login_attempts = 0, failed_device_attempts = 0, locked_until = null',
  ]);
});

async function open(agent: UserAgent): Promise<Page> {
  const config = await discover(node.url, 'acme-web');
  const { url } = await authorize(config, { prompt: 'login' });
  return agent.follow(await agent.get(url.href));
}

async function enter(agent: UserAgent, typed = password): Promise<Page> {
  return signIn(agent, await open(agent), alice, typed);
}

async function fail(agent: UserAgent, times: number) {
  for (let n = 0; n < times; n++) {
    expect((await enter(agent, 'not the password of alice')).status).toBe(401);
  }
}

/** The kinds of what was queued since the test began, whether it was sent by now or not. */
async function listSubjects(): Promise<string[]> {
  await eventually(async () => {
    const [row] = await runStatements(fixture.urls.superUrl, ['select count(*)::int as waiting from mails']);
    return row!['waiting'] === 0 || undefined;
  });
  const mails = await makeMailbox(path.join(node.dataDir, 'mail')).list();
  return mails.filter(({ to }) => to === alice).map(({ subject }) => subject);
}

/** What came while `work` ran, the newest first. */
async function newSubjects(work: () => Promise<void>): Promise<string[]> {
  const before = await listSubjects();
  await work();
  const after = await listSubjects();
  return after.slice(0, after.length - before.length);
}

test('a first sign-in and one on a known device tell nothing; one on another device does, once [6.3.5]', async () => {
  const first = makeUserAgent();
  expect(
    await newSubjects(async () => {
      await enter(first);
      await enter(first);
    }),
  ).toEqual([]);
  const second = makeUserAgent();
  const subjects = await newSubjects(async () => {
    await enter(second);
    await enter(second);
  });
  expect(subjects).toEqual([expect.stringContaining('New sign-in')]);
});

test('wrong passwords tell the owner once that sign-in is paused, however many follow [A-096]', async () => {
  const subjects = await newSubjects(() => fail(makeUserAgent(), 12));
  expect(subjects).toHaveLength(1);
  expect(subjects[0]).toMatch(/pause/i);
});

test('a success after as many failures as cost no wait tells so instead of a new device [6.3.5]', async () => {
  const agent = makeUserAgent();
  await enter(agent);
  const subjects = await newSubjects(async () => {
    await fail(makeUserAgent(), 5);
    expect((await enter(agent)).location).toContain('code=');
  });
  // Both may leave at once, in any order.
  expect(subjects.sort()).toEqual([
    'Sign-in to Acme Inc after wrong passwords',
    expect.stringMatching(/pause/i),
  ]);
});

test('the hundredth failure in a row tells that the password is over [N-13]', async () => {
  await runStatements(fixture.urls.superUrl, [
    `update users set failed_login_attempts = 99 where email = '${alice}'`,
  ]);
  const subjects = await newSubjects(() => fail(makeUserAgent(), 2));
  expect(subjects).toHaveLength(1);
});

test('an address that nobody has gets no mail, whatever is tried', async () => {
  const agent = makeUserAgent();
  await listSubjects();
  for (let n = 0; n < 6; n++) {
    await signIn(agent, await open(agent), 'nobody@example.test', 'not a password of anybody');
  }
  expect(await runStatements(fixture.urls.superUrl, ['select id from mails'])).toEqual([]);
});
