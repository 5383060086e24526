import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { detectPooling } from '#src/cli/doctor-pooler.ts';
import { poolerPath, startPooler } from '#test/support/pooler.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

(poolerPath() ? describe : describe.skip)('finds out behind a real PgBouncer', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await database.drop();
  });

  test.each([
    ['session', 5, { mode: 'session', prepared: true }],
    ['transaction', 5, { mode: 'transaction' }],
    ['transaction', 1, { mode: 'transaction' }],
    ['statement', 5, { mode: 'statement', prepared: false }],
  ])('%s mode with %d server connections [P-07]', async (mode, size, expected) => {
    const pooler = await startPooler(database.runtimeUrl, { mode, size });
    try {
      expect(await detectPooling(pooler.url)).toMatchObject(expected);
    } finally {
      await pooler.stop();
    }
  });
});
