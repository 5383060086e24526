import { Router } from '@koa/router';
import Koa from 'koa';
import type pg from 'pg';
import type { Verifier } from '#tessera/rls';
import { guard, protectedResourceMetadata } from '#tessera/rls/koa';
import { withTenant } from '#tessera/rls/pg';
import { readOrder } from './body.ts';
import { answerProblems, Problem } from './problem.ts';

type Order = { id: string; item: string; amount_cents: number; placed_at: Date };

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The HTTP API. The guard of a route lets a request in whose token is good and has the scope; the route then works
 * inside the token's tenant. No query below mentions a tenant: the policy adds it.
 */
export function makeApp({
  pool,
  verifier,
  onError,
}: {
  pool: pg.Pool;
  verifier: Verifier;
  onError: (error: unknown) => void;
}): Koa {
  const router = new Router();
  const resource = verifier.audiences[0]!;
  const mayRead = guard(verifier, { scope: 'read', resource });
  const mayWrite = guard(verifier, { scope: 'write', resource });

  router.get('/healthz', (ctx) => {
    ctx.body = { status: 'ok' };
  });

  router.get('/orders', mayRead, async (ctx) => {
    const { token } = ctx.state;
    const { rows } = await withTenant(pool, token, (tx) =>
      tx.query<Order>(
        `select id, item, amount_cents, placed_at
         from orders.orders
         order by placed_at desc, id
         limit 100`,
      ),
    );
    ctx.body = { tenant_id: token.tenantId, orders: rows };
  });

  router.get('/orders/:id', mayRead, async (ctx) => {
    const { id } = ctx.params;
    // Another tenant's order and one that never was give the same answer, since the query sees neither.
    if (!id || !uuid.test(id)) throw new Problem(404, 'not_found');
    const { rows } = await withTenant(pool, ctx.state.token, (tx) =>
      tx.query<Order>('select id, item, amount_cents, placed_at from orders.orders where id = $1', [id]),
    );
    if (!rows[0]) throw new Problem(404, 'not_found');
    ctx.body = rows[0];
  });

  router.post('/orders', mayWrite, async (ctx) => {
    const { item, amount_cents } = await readOrder(ctx);
    const { rows } = await withTenant(pool, ctx.state.token, (tx) =>
      tx.query<Order>(
        `insert into orders.orders (item, amount_cents)
         values ($1, $2)
         returning id, item, amount_cents, placed_at`,
        [item, amount_cents],
      ),
    );
    ctx.status = 201;
    ctx.set('location', `/orders/${rows[0]!.id}`);
    ctx.body = rows[0];
  });

  const app = new Koa();
  app.use(answerProblems(onError));
  app.use(
    protectedResourceMetadata({
      resource,
      authorizationServers: [verifier.issuer],
      scopes: ['read', 'write'],
      proofAlgorithms: verifier.proofAlgorithms,
    }),
  );
  app.use(refuseStorage);
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

const refuseStorage: Koa.Middleware = (ctx, next) => {
  ctx.set('cache-control', 'no-store');
  return next();
};
