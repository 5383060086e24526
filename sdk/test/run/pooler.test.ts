import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { poolerPath, startPooler } from '../../../test/support/pooler.ts';
import { subjects } from './subjects.ts';
import { createTenantDatabase, makeToken } from './tenant-database.ts';

const settings = `select nullif(current_setting('app.current_tenant_id', true), '') as tenant,
  nullif(current_setting('request.jwt.claims', true), '') as claims, current_user::text as role`;

(poolerPath() ? describe : describe.skip).each(Object.keys(subjects))(
  '%s behind PgBouncer in transaction mode with one connection',
  (name) => {
    let database: Awaited<ReturnType<typeof createTenantDatabase>>;
    let pooler: Awaited<ReturnType<typeof startPooler>>;

    beforeAll(async () => {
      database = await createTenantDatabase();
      pooler = await startPooler(database.url, { mode: 'transaction', size: 1 });
    });
    afterAll(async () => {
      await pooler?.stop();
      await database?.drop();
    });

    test('20 transactions of two tenants over 4 clients stay apart [A-171, P-07]', async () => {
      const db = subjects[name]!(pooler.url, 4);
      const tokens = [makeToken(), makeToken()];
      try {
        await Promise.all(
          Array.from({ length: 20 }, (_, index) => {
            const token = tokens[index % 2]!;
            return db.withTenant(token, async (tx) => {
              await tx.add(token.tenantId);
              expect(new Set(await tx.items())).toEqual(new Set([token.tenantId]));
            });
          }),
        );
        for (const token of tokens) expect(await db.withTenant(token, (tx) => tx.items())).toHaveLength(10);
      } finally {
        await db.close();
      }
    });

    test('no setting and no role reaches the next client, after COMMIT or an error [A-170, A-171, P-07]', async () => {
      const [db, next] = [subjects[name]!(pooler.url, 1), subjects[name]!(pooler.url, 1)];
      const clean = { tenant: null, claims: null, role: new URL(database.url).username };
      const role = database.reader;
      try {
        await db.withTenant(makeToken(), (tx) => tx.raw(settings), { role });
        expect(await next.bare(settings)).toEqual([clean]);
        await db.withTenant(makeToken(), (tx) => tx.raw('select 1 / 0'), { role }).catch(() => {});
        expect(await next.bare(settings)).toEqual([clean]);
        await expect(next.bare('select item from orders.orders')).rejects.toThrow();
        const other = makeToken();
        await next.withTenant(other, (tx) => tx.add('of the other'));
        expect(await next.withTenant(other, (tx) => tx.items())).toEqual(['of the other']);
      } finally {
        await db.close();
        await next.close();
      }
    });
  },
);
