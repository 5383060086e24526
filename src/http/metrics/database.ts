import { Gauge, type Registry } from 'prom-client';
import type { MeasuredServices } from './registry.ts';

/** Both pools of connections: how many are open, how many of these are free, and how many requests wait for one. */
export function measureDatabase(registry: Registry, { db }: MeasuredServices): void {
  const pools = { pool: db.pool, aux: db.aux };
  const gauge = (name: string, help: string, read: (pool: typeof db.pool) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['pool'],
      registers: [registry],
      collect() {
        for (const [label, pool] of Object.entries(pools)) {
          this.set({ pool: label }, read(pool));
        }
      },
    });
  gauge('tessera_database_connections', 'Open connections.', (pool) => pool.totalCount);
  gauge('tessera_database_idle_connections', 'Open connections that nobody uses.', (pool) => pool.idleCount);
  gauge('tessera_database_waiting', 'Those who wait for a connection.', (pool) => pool.waitingCount);
}
