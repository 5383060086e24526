import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { getConstructionPlans, PgBoss } from 'pg-boss';
import { type JobData, type JobQueue, makeJobQueue } from '#src/database/job-queue.ts';
import { makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements } from '#test/support/postgres.ts';

const options = { retryLimit: 2, retryDelay: 600, retryDelayMax: 600, expireInSeconds: 60 };

let fixture: Fixture;
const errors: unknown[] = [];
const queues: JobQueue[] = [];

function makeQueue(): JobQueue {
  const queue = makeJobQueue(fixture.db, { onError: (error) => errors.push(error) });
  queues.push(queue);
  return queue;
}

const runAsSuperuser = (...statements: string[]) => runStatements(fixture.urls.superUrl, statements);
const states = () =>
  runAsSuperuser('select state::text, retry_count, data from pgboss.job order by created_on');
const send = (queue: JobQueue, id: string) =>
  withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    queue.send(tx, 'mail', { tenant_id: fixture.acme.tenant_id, id }, options),
  );

beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(async () => {
  await Promise.all(queues.map((queue) => queue.stop(1_000)));
  await fixture?.drop();
});

describe('the schema of the queue', () => {
  test('is the one that the pinned library would make', async () => {
    const owner = makeDatabase({ url: fixture.urls.ownerUrl, max: 1 });
    const boss = new PgBoss({ db: { executeSql: (text, values) => owner.aux.query(text, values) } });
    const drift = await boss.detectSchemaDrift();
    const version = /INTO pgboss\.version\(version\) VALUES \('(\d+)'\)/.exec(
      getConstructionPlans('pgboss'),
    )![1];
    expect(await boss.schemaVersion()).toBe(Number(version));
    await owner.close();
    expect(drift).toMatchObject({ ok: true });
  });

  test('gives the runtime role rows of what it runs, and no more', async () => {
    const role = new URL(fixture.urls.runtimeUrl).username;
    const rows = await runAsSuperuser(
      `select relname::text as name, string_agg(privilege, ' ' order by privilege) as rights
      from pg_class, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) as privilege
      where relnamespace = 'pgboss'::regnamespace and relkind in ('r', 'p')
        and has_table_privilege('${role}', oid, privilege)
      group by 1 order by 1`,
    );
    expect(Object.fromEntries(rows.map(({ name, rights }) => [name, rights]))).toEqual({
      instance: 'DELETE SELECT UPDATE',
      job: 'DELETE INSERT SELECT UPDATE',
      job_common: 'DELETE INSERT SELECT UPDATE',
      job_dependency: 'DELETE SELECT',
      queue: 'SELECT UPDATE',
      version: 'SELECT',
    });
    const [may] = await runAsSuperuser(
      `select has_schema_privilege('${role}', 'pgboss', 'create') as create,
        (select count(*)::int from pg_proc where pronamespace = 'pgboss'::regnamespace
          and has_function_privilege('${role}', oid, 'execute')) as functions`,
    );
    expect(may).toEqual({ create: false, functions: 1 });
  });
});

describe('a job', () => {
  test('exists when its transaction commits, and needs no started queue', async () => {
    const queue = makeQueue();
    await expect(
      withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
        await queue.send(tx, 'mail', { tenant_id: fixture.acme.tenant_id, id: 'never' }, options);
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    expect(await states()).toEqual([]);
    await send(queue, 'kept');
    expect(await states()).toMatchObject([{ state: 'created', data: { id: 'kept' } }]);
    await runAsSuperuser('delete from pgboss.job');
  });

  test('is run by one of two queues, until it is done or was tried often enough', async () => {
    const runs: [JobData['id'], boolean][] = [];
    const [one, other] = [makeQueue(), makeQueue()];
    for (const queue of [one, other]) {
      await queue.start();
      await queue.work('mail', { ...options, batchSize: 5 }, async ({ data, last }) => {
        runs.push([data.id, last]);
        if (data.id === 'throws') {
          throw new Error('broken');
        }
        return data.id !== 'refused';
      });
    }
    for (const id of ['fine', 'refused', 'throws']) {
      await send(one, id);
    }
    const due = () => runAsSuperuser("update pgboss.job set start_after = now() where state = 'retry'");
    for (const count of [3, 5, 7]) {
      await eventually(
        async () =>
          (runs.length >= count && (await states()).every(({ state }) => state !== 'active')) || undefined,
      );
      await due();
    }
    expect(runs.sort().map(String)).toEqual(
      [
        ['fine', false],
        ...[false, false, true].map((last) => ['refused', last]),
        ...[false, false, true].map((last) => ['throws', last]),
      ].map(String),
    );
    expect((await states()).map(({ state }) => state).sort()).toEqual(['completed', 'failed', 'failed']);
    expect(errors.splice(0).map(String)).toEqual(Array(3).fill('Error: broken'));
    await Promise.all([one.stop(1_000), other.stop(1_000)]);
    await runAsSuperuser('delete from pgboss.job');
  }, 30_000);

  test('of a process that died is tried again once it is overdue, and old ones go', async () => {
    const queue = makeQueue();
    await queue.start();
    for (const id of ['dead', 'old']) {
      await send(queue, id);
    }
    await runAsSuperuser(
      "update pgboss.job set state = 'active', started_on = now() - interval '61 s' where data ->> 'id' = 'dead'",
      "update pgboss.job set state = 'completed', completed_on = now() - interval '2 h' where data ->> 'id' = 'old'",
    );
    await queue.supervise();
    expect(await states()).toMatchObject([{ state: 'retry', data: { id: 'dead' } }]);
    expect(errors).toEqual([]);
    await queue.stop(1_000);
  });
});

test('a queue of another version is refused by name', async () => {
  await runAsSuperuser('update pgboss.version set version = 45');
  await expect(makeQueue().start()).rejects.toThrow(
    'the tables of the job queue (schema pgboss) are not those of this release',
  );
});
