import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, redirect_uri, resource, secretOf } from '#test/support/fixture.ts';
import { authorize, completeFlow } from '#test/support/flow.ts';
import { runStatements } from '#test/support/postgres.ts';
import { basic } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

let fixture: Fixture;
let cluster: Cluster;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

const endConnections = () =>
  runStatements(fixture.urls.superUrl, [
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'tessera'`,
  ]);

test('every connection killed 25 times during flows: success or 503, nothing used twice, and no process dies [A-214, A-215, F-02]', async () => {
  const statuses = new Map<string, number>();
  let answered = 0;
  let completed = 0;
  let running = true;
  const usedTwice: string[] = [];

  function note(status: number, retryAfter: string | null) {
    const kind = status >= 500 ? `${status} ${retryAfter}` : 'answered';
    statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
    answered++;
  }

  async function post(client_id: string, form: Record<string, string>) {
    const response = await fetch(`${cluster.issuer}/token`, {
      method: 'POST',
      headers: basic(client_id, secretOf(client_id)),
      body: new URLSearchParams(form),
    });
    note(response.status, response.headers.get('retry-after'));
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  }

  /** Sends it again while the answer is 503, as a client may, and says how often it was good. */
  async function redeem(form: Record<string, string>) {
    const answers: Awaited<ReturnType<typeof post>>[] = [];
    do {
      answers.push(await post('acme-web', form));
    } while (answers.at(-1)!.status === 503);
    return answers.at(-1)!;
  }

  async function flow(email: string) {
    const agent = makeUserAgent();
    const { config } = await completeFlow(cluster.issuer, 'acme-web', { agent, email });
    return async () => {
      const { url, checks } = await authorize(config, { prompt: 'none' });
      const page = await agent.get(url.href);
      note(page.status, page.headers.get('retry-after'));
      const code = page.location && new URL(page.location).searchParams.get('code');
      if (!code) {
        return;
      }
      const form = {
        grant_type: 'authorization_code',
        code,
        redirect_uri,
        code_verifier: checks.pkceCodeVerifier,
      };
      const first = await redeem(form);
      // An answer may be lost after its commit; then the code is used up, and nobody has the tokens.
      if (first.status === 200) {
        completed++;
        const refreshed = await redeem({
          grant_type: 'refresh_token',
          refresh_token: first.body['refresh_token']!,
        });
        expect([200, 400]).toContain(refreshed.status);
        const again = await redeem(form);
        if (again.status === 200) {
          usedTwice.push(code);
        }
      }
    };
  }

  const flows = [await flow('alice@example.test'), await flow('bob@example.test')];
  const machine = async () => {
    await post('globex-m2m', { grant_type: 'client_credentials', resource });
  };
  const workers = [...flows, machine].map(async (work) => {
    while (running) {
      await work();
    }
  });
  for (let round = 0; round < 25; round++) {
    const [answeredBefore, completedBefore] = [answered, completed];
    await endConnections();
    await eventually(() => answered > answeredBefore + 6 || undefined);
    await eventually(() => completed > completedBefore || undefined);
  }
  running = false;
  await Promise.all(workers);

  expect(usedTwice).toEqual([]);
  expect([...statuses.keys()].filter((kind) => kind !== 'answered' && kind !== '503 2')).toEqual([]);
  expect(completed).toBeGreaterThanOrEqual(25);
  expect(cluster.nodes.map(({ process }) => process.exitCode)).toEqual([null, null]);
  const { tokens } = await completeFlow(cluster.issuer, 'acme-web');
  expect(tokens.refresh_token).toEqual(expect.any(String));
});
