import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { personalTables, sweepErasedUsers } from '#src/domain/users/erase.ts';
import { withImportTurn } from '#src/domain/users/import/turn.ts';
import { writeLines } from '#src/domain/users/import/write-lines.ts';
import { eraseUser } from '#src/domain/users/life-cycle.ts';
import { findUserByEmail, putUser } from '#src/domain/users/users.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { basic, call } from '#test/support/call.ts';
import { refresh } from '#test/support/code.ts';
import { eventually } from '#test/support/eventually.ts';
import { expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { authorize, completeFlow, discover } from '#test/support/flow.ts';
import { isSignedIn, openLogin } from '#test/support/login-form.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';
import { makeUserAgent } from '#test/support/user-agent.ts';

const rounds = 8;

let fixture: Fixture;
let cluster: Cluster;
let hash: string;

beforeAll(async () => {
  fixture = await createFixture();
  cluster = await startCluster(fixture);
  hash = await hashPassword(password);
});
afterAll(async () => {
  await cluster?.stop();
  await fixture?.drop();
});

const hashing = makePasswordHashing(makeHashingQueue({ concurrency: 1, maxWaiting: 20, maxWaitMs: 30_000 }));
const inAcme = <T>(work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);

/** What goes on while somebody is erased; `attempt` gives false when it is refused. */
interface Activity {
  attempt(): Promise<boolean>;
}

/** Runs the activity until it is refused, which an attempt that begins after the erasure must be; tells of its first success. */
function runUntilRefused(
  { attempt }: Activity,
  isOver: () => boolean,
): { begun: Promise<void>; over: Promise<void> } {
  const begun = Promise.withResolvers<void>();
  const run = async () => {
    for (;;) {
      const last = isOver();
      if (!(await attempt())) {
        return;
      }
      if (last) {
        throw new Error('it still works after the erasure');
      }
      begun.resolve();
    }
  };
  const over = run();
  over.catch(begun.reject);
  return { begun: begun.promise, over };
}

async function refreshing(email: string): Promise<Activity> {
  const parameters = { resource: undefined, scope: 'openid email' };
  let { access_token, refresh_token } = (
    await completeFlow(cluster.issuer, 'acme-web', { email, parameters })
  ).tokens;
  return {
    async attempt() {
      const answer = await refresh(cluster.issuer, 'acme-web', refresh_token!);
      expectSafe(answer);
      if (answer.status === 200) {
        ({ access_token, refresh_token } = JSON.parse(answer.body));
        return true;
      }
      const form = { token: access_token };
      const introspected = await call(`${cluster.issuer}/introspect`, { headers: basic('acme-web'), form });
      expect(JSON.parse(introspected.body)).toEqual({ active: false });
      return false;
    },
  };
}

/** A new browser each time, from the form to the code. */
function signingIn(email: string): Activity {
  return {
    async attempt() {
      const { agent, send } = await openLogin(cluster.issuer);
      const posted = await send({ email, password });
      expectSafe(posted);
      if (!isSignedIn(posted)) {
        return false;
      }
      const page = await agent.follow(posted);
      expectSafe(page);
      return page.location?.includes('code=') ?? false;
    },
  };
}

/** One browser that is signed in already. */
async function returning(email: string): Promise<Activity> {
  const agent = makeUserAgent();
  await completeFlow(cluster.issuer, 'acme-web', { agent, email });
  const config = await discover(cluster.issuer, 'acme-web');
  return {
    async attempt() {
      const { url } = await authorize(config, { prompt: 'none' });
      const page = await agent.follow(await agent.get(url.href));
      expectSafe(page);
      return page.location?.includes('code=') ?? false;
    },
  };
}

/** A file and an import that name the address and nothing else personal, so that a name can only come from the one erased. */
const applying = (email: string, isOver: () => boolean): Activity => ({
  async attempt() {
    const file = { tenants: [{ slug: 'acme', users: [{ email, email_verified: true }] }] };
    const last = isOver();
    await applyConfiguration(
      { db: fixture.db, hashing, now: () => new Date() },
      parseConfiguration(JSON.stringify(file), {}),
    );
    return !last;
  },
});
const importing = (email: string, isOver: () => boolean): Activity => ({
  async attempt() {
    const last = isOver();
    const lines = [{ line: 1, user: { email, email_verified: false } }];
    await withImportTurn(fixture.db, fixture.acme.tenant_id, (turn) => writeLines(fixture.db, turn, lines));
    return !last;
  },
});

test('erased while all goes on over two nodes: ends erased, and nothing brings the user back [A-197]', async () => {
  for (let round = 0; round < rounds; round++) {
    const email = `carol${round}@example.test`;
    const person = { email, email_verified: true, name: 'Carol Danvers', roles: ['admin'] };
    const id = await inAcme((tx) => putUser(tx, { ...person, password_hash: hash }));
    let erased = false;
    const running = [
      await refreshing(email),
      await returning(email),
      signingIn(email),
      applying(email, () => erased),
      importing(email, () => erased),
    ].map((activity) => runUntilRefused(activity, () => erased));
    await Promise.all(running.map(({ begun }) => begun));
    expect(await inAcme((tx) => eraseUser(tx, id))).toEqual({ ok: true });
    erased = true;
    await Promise.all(running.map(({ over }) => over));

    const rows = await runStatements(fixture.urls.superUrl, [
      `select email, name, password_hash, email_verified, status from users where id = '${id}'`,
    ]);
    expect(rows).toEqual([
      {
        email: `erased-${id}@erased.invalid`,
        name: null,
        password_hash: null,
        email_verified: false,
        status: 'erased',
      },
    ]);
    // Who has the address by now is somebody else, of whom the file says nothing more.
    const next = await inAcme((tx) => findUserByEmail(tx, email));
    expect(next).toMatchObject({ name: null, password_hash: null, status: 'invited', roles: [] });
    expect(next!.id).not.toBe(id);
    // A transaction may end a moment after its answer.
    await eventually(async () => {
      await inAcme(sweepErasedUsers);
      const left = await runStatements(fixture.urls.superUrl, [
        personalTables.map((table) => `select from ${table} where user_id = '${id}'`).join(' union all '),
      ]);
      return left.length === 0 || undefined;
    });
  }
  for (const { log } of cluster.nodes) {
    expect(log.filter(({ level }) => Number(level) >= 50 || level === 'error')).toEqual([]);
  }
});
