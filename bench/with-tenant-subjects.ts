import { PrismaPg } from '@prisma/adapter-pg';
import { desc } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { orders } from '#examples/drizzle/schema.ts';
import { PrismaClient } from '#examples/prisma/generated/client.ts';
import type { VerifiedToken } from '#tessera/rls';
import { withTenant as withDrizzle } from '#tessera/rls/drizzle';
import { withTenant as withKysely } from '#tessera/rls/kysely';
import { withTenant as withPg } from '#tessera/rls/pg';
import { withTenant as withPrisma } from '#tessera/rls/prisma';

/** The same query of one library, `rows` of the tenant's newest orders, in three ways. */
export interface Subject {
  title: string;
  /** By itself, over connections whose tenant is a session setting for good: what no product can do. */
  bare(rows: number): Promise<unknown[]>;
  /** In the library's own transaction, over the same connections. */
  transaction(rows: number): Promise<unknown[]>;
  tenant(token: VerifiedToken, rows: number): Promise<unknown[]>;
  close(): Promise<void>;
}

interface Places {
  url: string;
  tenantId: string;
  pipeline: boolean;
}

/** All libraries, with pipelining where it changes something. */
export function makeSubjects(url: string, tenantId: string): Subject[] {
  const plain = { url, tenantId, pipeline: false };
  const pipelined = { url, tenantId, pipeline: true };
  return [
    overPg(plain),
    overPg(pipelined),
    overKysely(plain),
    overKysely(pipelined),
    overDrizzle(plain),
    overDrizzle(pipelined),
    overPrisma(plain),
  ];
}

function makePools({ url, tenantId, pipeline }: Places): { fixed: pg.Pool; clean: pg.Pool } {
  const options = { connectionString: url, max: 4, pipeline } as pg.PoolConfig;
  return {
    fixed: new pg.Pool({ ...options, options: `-c app.current_tenant_id=${tenantId}` }),
    clean: new pg.Pool(options),
  };
}

function title(library: string, { pipeline }: Places): string {
  return pipeline ? `${library}, \`pipeline: true\`` : library;
}

function overPg(places: Places): Subject {
  const { fixed, clean } = makePools(places);
  const text =
    'select id, item, amount_cents, placed_at from orders.orders order by placed_at desc, id limit $1';
  return {
    title: title('pg', places),
    bare: async (rows) => (await fixed.query(text, [rows])).rows,
    async transaction(rows) {
      const client = await fixed.connect();
      await client.query('begin');
      const result = await client.query(text, [rows]);
      await client.query('commit');
      client.release();
      return result.rows;
    },
    tenant: (token, rows) => withPg(clean, token, async (tx) => (await tx.query(text, [rows])).rows),
    close: async () => void (await Promise.all([fixed.end(), clean.end()])),
  };
}

interface OrdersDatabase {
  'orders.orders': { id: string; item: string; amount_cents: number; placed_at: Date };
}

function overKysely(places: Places): Subject {
  const pools = makePools(places);
  const [fixed, clean] = [pools.fixed, pools.clean].map(
    (pool) => new Kysely<OrdersDatabase>({ dialect: new PostgresDialect({ pool }) }),
  );
  const list = (db: Kysely<OrdersDatabase>, rows: number) =>
    db
      .selectFrom('orders.orders')
      .select(['id', 'item', 'amount_cents', 'placed_at'])
      .orderBy('placed_at', 'desc')
      .orderBy('id')
      .limit(rows)
      .execute();
  return {
    title: title('Kysely', places),
    bare: (rows) => list(fixed!, rows),
    transaction: (rows) => fixed!.transaction().execute((tx) => list(tx, rows)),
    tenant: (token, rows) => withKysely(clean!, token, (tx) => list(tx, rows), { pipeline: places.pipeline }),
    close: async () => void (await Promise.all([fixed!.destroy(), clean!.destroy()])),
  };
}

function overDrizzle(places: Places): Subject {
  const pools = makePools(places);
  const [fixed, clean] = [drizzle({ client: pools.fixed }), drizzle({ client: pools.clean })];
  const { id, item, amount_cents, placed_at } = orders;
  const list = (db: Pick<typeof fixed, 'select'>, rows: number) =>
    db.select({ id, item, amount_cents, placed_at }).from(orders).orderBy(desc(placed_at), id).limit(rows);
  return {
    title: title('Drizzle', places),
    bare: (rows) => list(fixed, rows),
    transaction: (rows) => fixed.transaction((tx) => list(tx, rows)),
    tenant: (token, rows) => withDrizzle(clean, token, (tx) => list(tx, rows)),
    close: async () => void (await Promise.all([pools.fixed.end(), pools.clean.end()])),
  };
}

function overPrisma(places: Places): Subject {
  const pools = makePools(places);
  const [fixed, clean] = [pools.fixed, pools.clean].map(
    (pool) => new PrismaClient({ adapter: new PrismaPg(pool) }),
  );
  const list = (db: Pick<PrismaClient, 'order'>, rows: number) =>
    db.order.findMany({
      select: { id: true, item: true, amount_cents: true, placed_at: true },
      orderBy: [{ placed_at: 'desc' }, { id: 'asc' }],
      take: rows,
    });
  return {
    title: title('Prisma', places),
    bare: (rows) => list(fixed!, rows),
    transaction: (rows) => fixed!.$transaction((tx) => list(tx, rows)),
    tenant: (token, rows) => withPrisma(clean!, token, (tx) => list(tx, rows)),
    async close() {
      await Promise.all([fixed!.$disconnect(), clean!.$disconnect()]);
      await Promise.all([pools.fixed.end(), pools.clean.end()]);
    },
  };
}
