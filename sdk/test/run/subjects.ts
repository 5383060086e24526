import { PrismaPg } from '@prisma/adapter-pg';
import { sql as drizzleSql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { pgSchema, text } from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { PrismaClient } from '../../../examples/prisma/generated/client.ts';
import * as viaDrizzle from '../../src/drizzle.ts';
import * as viaKysely from '../../src/kysely.ts';
import * as viaPg from '../../src/pg.ts';
import * as viaPrisma from '../../src/prisma.ts';
import type { VerifiedToken } from '../../src/verify/verified-token.ts';

type Row = Record<string, unknown>;

/** What every test does inside of a transaction, through whichever library. */
export interface Ops {
  raw(statement: string): Promise<Row[]>;
  /** Through the library's own ways, of `orders.orders`. */
  add(item: string): Promise<void>;
  items(): Promise<string[]>;
  /** `withTenant` on the `tx` itself. */
  onTx<T>(token: VerifiedToken, work: (ops: Ops) => Promise<T>): Promise<T>;
}

export interface Subject {
  withTenant<T>(
    token: VerifiedToken,
    work: (ops: Ops) => Promise<T>,
    options?: { role?: string },
  ): Promise<T>;
  /** Outside of every transaction. */
  bare(statement: string): Promise<Row[]>;
  close(): Promise<void>;
}

interface OrdersDatabase {
  'orders.orders': { item: string };
}

/** How each library is set up over a pool of this size, as its documentation says. */
export const subjects: Record<string, (url: string, max: number) => Subject> = {
  pg: (url, max) => overPg(makePool(url, max)),
  'pg with pipelining': (url, max) => overPg(makePool(url, max, { pipeline: true })),
  kysely: (url, max) => overKysely(makePool(url, max)),
  'kysely with pipelining': (url, max) => overKysely(makePool(url, max, { pipeline: true }), true),
  drizzle: (url, max) => overDrizzle(makePool(url, max)),
  'drizzle with pipelining': (url, max) => overDrizzle(makePool(url, max, { pipeline: true })),
  prisma: (url, max) => overPrisma(makePool(url, max)),
};

export function makePool(
  connectionString: string,
  max: number,
  options: pg.PoolConfig & { pipeline?: boolean } = {},
): pg.Pool {
  const pool = new pg.Pool({ connectionString, max, connectionTimeoutMillis: 20_000, ...options });
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function overPg(pool: pg.Pool): Subject {
  const ops = (tx: viaPg.TenantTx): Ops => ({
    raw: async (statement) => (await tx.query(statement)).rows,
    async add(item) {
      await tx.query('insert into orders.orders (item) values ($1)', [item]);
    },
    async items() {
      const { rows } = await tx.query<{ item: string }>('select item from orders.orders order by item');
      return rows.map(({ item }) => item);
    },
    onTx: (token, work) => viaPg.withTenant(tx, token, (inner) => work(ops(inner))),
  });
  return {
    withTenant: (token, work, options) => viaPg.withTenant(pool, token, (tx) => work(ops(tx)), options),
    bare: async (statement) => (await pool.query(statement)).rows,
    close: () => pool.end(),
  };
}

function overKysely(pool: pg.Pool, pipeline = false): Subject {
  const db = new Kysely<OrdersDatabase>({ dialect: new PostgresDialect({ pool }) });
  const ops = (tx: Kysely<OrdersDatabase>): Ops => ({
    raw: async (statement) => (await sql<Row>`${sql.raw(statement)}`.execute(tx)).rows,
    async add(item) {
      await tx.insertInto('orders.orders').values({ item }).execute();
    },
    async items() {
      const rows = await tx.selectFrom('orders.orders').select('item').orderBy('item').execute();
      return rows.map(({ item }) => item);
    },
    onTx: (token, work) => viaKysely.withTenant(tx, token, (inner) => work(ops(inner))),
  });
  return {
    withTenant: (token, work, options) =>
      viaKysely.withTenant(db, token, (tx) => work(ops(tx)), { ...options, pipeline }),
    bare: async (statement) => (await sql<Row>`${sql.raw(statement)}`.execute(db)).rows,
    close: () => db.destroy(),
  };
}

const orders = pgSchema('orders').table('orders', { item: text().notNull() });

function overDrizzle(pool: pg.Pool): Subject {
  const db = drizzle({ client: pool, schema: { orders } });
  const ops = (tx: viaDrizzle.TenantTx<{ orders: typeof orders }>): Ops => ({
    raw: async (statement) => (await tx.execute(drizzleSql.raw(statement))).rows,
    async add(item) {
      await tx.insert(orders).values({ item });
    },
    async items() {
      const rows = await tx.query.orders.findMany({ orderBy: orders.item });
      return rows.map(({ item }) => item);
    },
    onTx: (token, work) => viaDrizzle.withTenant(tx, token, (inner) => work(ops(inner))),
  });
  return {
    withTenant: (token, work, options) => viaDrizzle.withTenant(db, token, (tx) => work(ops(tx)), options),
    bare: async (statement) => (await db.execute(drizzleSql.raw(statement))).rows,
    close: () => pool.end(),
  };
}

function overPrisma(pool: pg.Pool): Subject {
  const db = new PrismaClient({ adapter: new PrismaPg(pool), transactionOptions: { maxWait: 20_000 } });
  const ops = (tx: viaPrisma.TenantTx<typeof db>): Ops => ({
    raw: (statement) => tx.$queryRawUnsafe(statement),
    async add(item) {
      await tx.order.create({ data: { item, amount_cents: 0 } });
    },
    async items() {
      const rows = await tx.order.findMany({ orderBy: { item: 'asc' } });
      return rows.map(({ item }) => item);
    },
    onTx: (token, work) => viaPrisma.withTenant(tx, token, (inner) => work(ops(inner))),
  });
  return {
    withTenant: (token, work, options) => viaPrisma.withTenant(db, token, (tx) => work(ops(tx)), options),
    bare: (statement) => db.$queryRawUnsafe(statement),
    async close() {
      await db.$disconnect();
      await pool.end();
    },
  };
}
