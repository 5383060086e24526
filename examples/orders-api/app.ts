import { Router } from '@koa/router';
import Koa from 'koa';
import type pg from 'pg';
import { readOrder } from './body.ts';
import { answerProblems, Problem } from './problem.ts';
import { withTenant } from './tenant.ts';
import { uuid, type VerifyToken } from './verify.ts';

type Order = { id: string; item: string; amount_cents: number; placed_at: Date };

/**
 * The HTTP API. Every route on orders verifies the token for its scope and then works inside the token's tenant.
 * No query below mentions a tenant: the policy adds it.
 */
export function makeApp({
  pool,
  verifyToken,
  onError,
}: {
  pool: pg.Pool;
  verifyToken: VerifyToken;
  onError: (error: unknown) => void;
}): Koa {
  const router = new Router();

  router.get('/healthz', (ctx) => {
    ctx.body = { status: 'ok' };
  });

  router.get('/orders', async (ctx) => {
    const token = await verifyToken(ctx.headers.authorization, 'read');
    const orders = await withTenant(pool, token, (tx) =>
      tx.query<Order>(
        `select id, item, amount_cents, placed_at
         from orders.orders
         order by placed_at desc, id
         limit 100`,
      ),
    );
    ctx.body = { tenant_id: token.tenant_id, orders };
  });

  router.get('/orders/:id', async (ctx) => {
    const token = await verifyToken(ctx.headers.authorization, 'read');
    const { id } = ctx.params;
    // Another tenant's order and one that never was give the same answer, since the query sees neither.
    if (!id || !uuid.test(id)) throw new Problem(404, 'not_found');
    const [order] = await withTenant(pool, token, (tx) =>
      tx.query<Order>('select id, item, amount_cents, placed_at from orders.orders where id = $1', [id]),
    );
    if (!order) throw new Problem(404, 'not_found');
    ctx.body = order;
  });

  router.post('/orders', async (ctx) => {
    const token = await verifyToken(ctx.headers.authorization, 'write');
    const { item, amount_cents } = await readOrder(ctx);
    const [order] = await withTenant(pool, token, (tx) =>
      tx.query<Order>(
        `insert into orders.orders (item, amount_cents)
         values ($1, $2)
         returning id, item, amount_cents, placed_at`,
        [item, amount_cents],
      ),
    );
    ctx.status = 201;
    ctx.set('location', `/orders/${order!.id}`);
    ctx.body = order;
  });

  const app = new Koa();
  app.use(answerProblems(onError));
  app.use(refuseStorage);
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

const refuseStorage: Koa.Middleware = (ctx, next) => {
  ctx.set('cache-control', 'no-store');
  return next();
};
