import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { makeJobQueue } from '#src/database/job-queue.ts';
import { makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { completeFlow } from '#test/support/flow.ts';
import { poolerPath, startPooler } from '#test/support/pooler.ts';
import { runStatements } from '#test/support/postgres.ts';
import { type Node, startNode } from '#test/support/server.ts';

(poolerPath() ? describe : describe.skip)(
  'behind PgBouncer in transaction mode, with ?pgbouncer=true',
  () => {
    let fixture: Fixture;
    let node: Node;
    let pooler: Awaited<ReturnType<typeof startPooler>>;

    beforeAll(async () => {
      fixture = await createFixture();
      // As many as a node's own two pools: a request may need a second connection while it holds one.
      pooler = await startPooler(fixture.urls.runtimeUrl, { mode: 'transaction', size: 23 });
      const url = new URL(pooler.url);
      url.searchParams.set('pgbouncer', 'true');
      node = await startNode(fixture, { env: { DATABASE_URL: url.href } });
    });
    afterAll(async () => {
      await node?.stop();
      await pooler?.stop();
      await fixture?.drop();
    });

    test('whole flows of both tenants at once stay apart [A-171, P-07]', async () => {
      const flows = (['acme', 'globex'] as const).flatMap((tenant) => [
        completeFlow(node.url, `${tenant}-web`).then((signed) => ({ tenant, ...signed })),
        completeFlow(node.url, 'shared-web', { parameters: { tenant } }).then((signed) => ({
          tenant,
          ...signed,
        })),
      ]);
      for (const { tenant, config, tokens } of await Promise.all(flows)) {
        const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token!);
        for (const token of [tokens.access_token, refreshed.access_token]) {
          expect(decodeJwt(token)).toMatchObject({
            tenant_id: fixture[tenant].tenant_id,
            sub: fixture[tenant].users.alice,
          });
        }
      }
    });

    test('a transaction leaves no tenant behind on the connection that it shares [A-170, A-171]', async () => {
      const db = makeDatabase({ url: pooler.url, pgbouncer: true, max: 1 });
      try {
        const emails = await withTenant(db, fixture.acme.tenant_id, (tx) =>
          tx.selectFrom('users').select('id').execute(),
        );
        expect(emails.map(({ id }) => id).sort()).toEqual(Object.values(fixture.acme.users).sort());
        await expect(db.pool.query('select id from users')).rejects.toMatchObject({ code: '42501' });
      } finally {
        await db.close();
      }
    });

    test('a job is queued, run and supervised', async () => {
      const db = makeDatabase({ url: pooler.url, pgbouncer: true, max: 1 });
      const errors: unknown[] = [];
      const queue = makeJobQueue(db, { onError: (error) => errors.push(error) });
      const options = { retryLimit: 1, retryDelay: 1, retryDelayMax: 1, expireInSeconds: 60 };
      const { tenant_id } = fixture.acme;
      // Not the queue that the node takes mail from.
      await runStatements(fixture.urls.ownerUrl, [
        `select pgboss.create_queue('pooled', '{"policy": "standard"}')`,
      ]);
      const done: string[] = [];
      await queue.start();
      await withTenant(db, tenant_id, (tx) => queue.send(tx, 'pooled', { tenant_id, id: 'one' }, options));
      await queue.work('pooled', { ...options, batchSize: 1 }, async ({ data }) => done.push(data.id) > 0);
      await eventually(() => done.length > 0 || undefined);
      await queue.supervise();
      await queue.stop(1_000);
      expect([done, errors]).toEqual([['one'], []]);
      await db.close();
    });
  },
);
