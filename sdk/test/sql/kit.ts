import { readFileSync } from 'node:fs';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from '../../../test/support/postgres.ts';

export const kit = readFileSync(new URL('../../sql/tenant.sql', import.meta.url), 'utf8');

export const [tenantA, tenantB] = [
  '0a000000-0000-4000-8000-00000000000a',
  '0b000000-0000-4000-8000-00000000000b',
] as const;

export interface KitDatabase {
  database: TestDatabase;
  owner: pg.Client;
  runtime: pg.Client;
  /** The name of the runtime role. */
  role: string;
  /** Runs as the runtime role, in a transaction of the tenant. */
  as(tenant: string, sql: string, settings?: Record<string, string>): Promise<Record<string, unknown>[]>;
  /** What `tenant.protect` says. */
  protect(table: string): Promise<string[]>;
  end(): Promise<void>;
}

/** A database with the kit in it, made by the owner, who is no superuser. */
export async function createKitDatabase(): Promise<KitDatabase> {
  const database = await createTestDatabase();
  const owner = new pg.Client({ connectionString: database.ownerUrl });
  const runtime = new pg.Client({ connectionString: database.runtimeUrl });
  await Promise.all([owner.connect(), runtime.connect()]);
  await owner.query(kit);
  return {
    database,
    owner,
    runtime,
    role: new URL(database.runtimeUrl).username,
    async as(tenant, sql, settings = {}) {
      await runtime.query('begin');
      try {
        for (const [name, value] of Object.entries({ 'app.current_tenant_id': tenant, ...settings })) {
          await runtime.query('select set_config($1, $2, true)', [name, value]);
        }
        const { rows } = await runtime.query(sql);
        await runtime.query('commit');
        return rows;
      } catch (error) {
        await runtime.query('rollback');
        throw error;
      }
    },
    async protect(table) {
      const { rows } = await owner.query('select tenant.protect($1)', [table]);
      return rows.map(({ protect }) => protect);
    },
    async end() {
      await Promise.all([owner.end(), runtime.end()]);
      await database.drop();
    },
  };
}
