import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { withTenant } from '#src/database/tenant.ts';
import { lockoutPolicy } from '#src/domain/credentials/lockout-policy.ts';
import { putUser } from '#src/domain/users/users.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { authorize, discover } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Answer, cookiesOf, type RawRequest, race, tally } from '#test/support/race.ts';
import { type Cluster, startCluster, unlimitedSignIns } from '#test/support/server.ts';
import { makeUserAgent, readForms, type UserAgent } from '#test/support/user-agent.ts';

const email = 'carol@example.test';
/** As long as bcrypt reads: whoever guesses it with something behind it is told so, and that shows which guesses were compared. */
const first72 = 'carol took the slow boat to the far side of the lake and came home wet!!'.slice(0, 72);
const wave = 250;

let fixture: Fixture;
let cluster: Cluster;
let user_id: string;
let hash: string;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture, 2, unlimitedSignIns);
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});
beforeEach(async () => {
  hash = bcrypt.hashSync(first72, 10);
  const user = { email, email_verified: true, name: 'Carol', password_hash: hash, roles: [] };
  user_id = await withTenant(fixture.db, fixture.acme.tenant_id, (tx) => putUser(tx, user));
});

async function signInForm(agent: UserAgent): Promise<RawRequest & { form: Record<string, string> }> {
  const { url } = await authorize(await discover(cluster.issuer, 'acme-web'), { prompt: 'login' });
  const page = await agent.follow(await agent.get(url.href));
  const { action, fields } = readForms(page.body)[0]!;
  return {
    path: action,
    headers: await cookiesOf(agent, new URL(action, page.url).href),
    form: { ...fields, email },
  };
}

async function failures(): Promise<number> {
  const [row] = await runStatements(fixture.urls.superUrl, [
    `select failed_login_attempts from users where id = '${user_id}'`,
  ]);
  return row!['failed_login_attempts'] as number;
}
const isCompared = ({ body }: Answer) => body.includes('Your account came from another system');
const kind = (answer: Answer) =>
  isCompared(answer) ? 'compared' : answer.status === 503 ? 'busy' : String(answer.status);

/** Sends so many guesses of which each is wrong, and gives how many were compared. */
async function guess(request: RawRequest, size: number): Promise<number> {
  let compared = 0;
  for (let sent = 0; sent < size; sent += wave) {
    const answers = await race(
      cluster,
      Array.from({ length: wave }, (_, index) => ({
        ...request,
        form: { ...request.form, password: `${first72}${sent + index}` },
      })),
    );
    const { compared: now = 0, 401: refused = 0, busy = 0, ...others } = tally(answers, kind);
    expect(others).toEqual({});
    expect(now + refused + busy).toBe(wave);
    compared += now;
  }
  return compared;
}

/** What was compared was counted. In such a crowd the answer to a comparison may be that the server is busy: it counts as well. */
async function expectBounded(compared: number) {
  const counted = await failures();
  expect(compared).toBeGreaterThan(0);
  expect(compared).toBeLessThanOrEqual(counted);
  expect(counted).toBeLessThanOrEqual(lockoutPolicy.free);
}

test('of 1,000 guesses over two nodes no more are compared than are free, and all of those are counted [G-15, A-092]', async () => {
  const request = await signInForm(makeUserAgent());
  await expectBounded(await guess(request, 1_000));
}, 180_000);

test('from a known device neither [G-15, A-092]', async () => {
  const agent = makeUserAgent();
  const { path, form } = await signInForm(agent);
  const entered = await agent.post(`${cluster.issuer}${path}`, { ...form, password: first72 });
  expect(entered.status).toBe(303);
  // The sign-in has put another hash in place of it.
  await runStatements(fixture.urls.superUrl, [
    `update users set password_hash = '${hash}' where id = '${user_id}'`,
  ]);
  await expectBounded(await guess(await signInForm(agent), wave));
});
