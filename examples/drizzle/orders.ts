import { desc } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import type { VerifiedToken } from '#tessera/rls';
import { withTenant } from '#tessera/rls/drizzle';
import { orders } from './schema.ts';

export type OrdersDatabase = NodePgDatabase<{ orders: typeof orders }> & { $client: pg.Pool };

export interface NewOrder {
  item: string;
  amount_cents: number;
}

/** Places an order of the token's tenant. */
export async function placeOrder(db: OrdersDatabase, token: VerifiedToken, order: NewOrder): Promise<void> {
  await withTenant(db, token, (tx) => tx.insert(orders).values(order));
}

/** The newest hundred orders of the token's tenant; the policy leaves out those of others. */
export function listOrders(db: OrdersDatabase, token: VerifiedToken) {
  return withTenant(db, token, (tx) =>
    tx.query.orders.findMany({
      columns: { item: true, amount_cents: true },
      orderBy: [desc(orders.placed_at), orders.id],
      limit: 100,
    }),
  );
}
