import type { VerifiedToken } from '#tessera/rls';
import { withTenant } from '#tessera/rls/prisma';
import type { PrismaClient } from './generated/client.ts';

export interface NewOrder {
  item: string;
  amount_cents: number;
}

/** Places an order of the token's tenant. */
export async function placeOrder(db: PrismaClient, token: VerifiedToken, order: NewOrder): Promise<void> {
  await withTenant(db, token, (tx) => tx.order.create({ data: order }));
}

/** The newest hundred orders of the token's tenant; the policy leaves out those of others. */
export function listOrders(db: PrismaClient, token: VerifiedToken) {
  return withTenant(db, token, (tx) =>
    tx.order.findMany({
      select: { item: true, amount_cents: true },
      orderBy: [{ placed_at: 'desc' }, { id: 'asc' }],
      take: 100,
    }),
  );
}
