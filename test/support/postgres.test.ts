import { describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, runStatements } from '#test/support/postgres.ts';

describe('createTestDatabase', () => {
  test('gives callers at the same time a migrated database each', async () => {
    const databases = await Promise.all([1, 2, 3, 4].map(() => createTestDatabase()));
    expect(new Set(databases.map(({ name }) => name)).size).toBe(4);
    for (const { runtimeUrl, drop } of databases) {
      const [row] = await runStatements(runtimeUrl, [
        'select count(*) > 0 as migrated from schema_migrations',
      ]);
      expect(row).toEqual({ migrated: true });
      await drop();
    }
  });

  test('neither owner nor runtime role is a superuser, bypasses row security or is the other', async () => {
    const { ownerUrl, runtimeUrl, drop } = await createTestDatabase();
    const question = `select rolsuper, rolbypassrls, pg_has_role(current_user, relowner, 'usage') as owns
      from pg_roles, pg_class where rolname = current_user and relname = 'tenants'`;
    expect(await runStatements(ownerUrl, [question])).toEqual([
      { rolsuper: false, rolbypassrls: false, owns: true },
    ]);
    expect(await runStatements(runtimeUrl, [question])).toEqual([
      { rolsuper: false, rolbypassrls: false, owns: false },
    ]);
    await drop();
  });

  test('drops a database that still has sessions', async () => {
    const { name, runtimeUrl, superUrl, drop } = await createTestDatabase();
    const client = new pg.Client({ connectionString: runtimeUrl });
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    client.on('error', () => {});
    await client.connect();
    await drop();
    await ended;
    await expect(runStatements(superUrl, ['select 1'])).rejects.toMatchObject({
      code: '3D000',
      message: expect.stringContaining(name),
    });
  });
});
