import { randomBytes, randomUUID } from 'node:crypto';
import { startOrdersApi } from '#examples/orders-api/main.ts';
import { seedOrders, setupOrders } from '#examples/orders-api/setup.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { audience, runSql, startIssuer, withParts } from './orders-api-fixture.ts';

export type Orders = Awaited<ReturnType<typeof startOrders>>;

/** The API on a database of its own, set up twice as after a second start, with three orders of each of two tenants. */
export async function startOrders() {
  const [acme, globex] = [randomUUID(), randomUUID()];
  const runtimeUser = `orders_api_${randomBytes(4).toString('hex')}`;
  const runtimePassword = randomBytes(16).toString('hex');
  const op = await startIssuer();
  const database = await createTestDatabase();
  const tenants = Object.entries({ acme, globex }).map(([slug, tenant_id]) => ({ slug, tenant_id }));
  for (const _ of ['first start', 'second start']) {
    await setupOrders({ ownerUrl: database.ownerUrl, runtimeUser, runtimePassword });
    await seedOrders({ databaseUrl: database.ownerUrl, tenants });
  }
  const runtimeUrl = withParts(database.runtimeUrl, { username: runtimeUser, password: runtimePassword });
  const reported: unknown[] = [];
  const start = (databaseUrl: string, issuer = op.issuer) =>
    startOrdersApi({ port: 0, databaseUrl, issuer, audience, onError: (error) => reported.push(error) });
  const api = await start(runtimeUrl);
  return {
    acme,
    globex,
    op,
    database,
    runtimeUrl,
    api,
    /** Causes of 5xx answers. */
    reported,
    /** One more, with other settings. */
    start,
    async close() {
      await api.close();
      await op.close();
      await database.drop();
      await runSql(withParts(database.superUrl, { pathname: '/postgres' }), `drop role ${runtimeUser}`);
    },
  };
}
