import { sql } from 'drizzle-orm';
import { integer, pgSchema, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

/** The table of examples/orders-api/schema.sql, as Drizzle sees it. */
export const orders = pgSchema('orders').table(
  'orders',
  {
    // Filled by the database from the transaction's tenant; no query has to mention it.
    tenant_id: uuid().notNull().default(sql`current_setting('app.current_tenant_id')::uuid`),
    id: uuid().notNull().defaultRandom(),
    item: text().notNull(),
    amount_cents: integer().notNull(),
    placed_at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenant_id, table.id] })],
);
