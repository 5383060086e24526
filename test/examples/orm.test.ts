import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setupOrders } from '#examples/orders-api/setup.ts';
import { startIssuer } from '#sdk/test/support/issuer.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { runSql, withParts } from './orders-api-fixture.ts';

const run = promisify(execFile);
const runtimeUser = `orders_orm_${randomBytes(4).toString('hex')}`;
const runtimePassword = randomBytes(16).toString('hex');

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let issuer: Awaited<ReturnType<typeof startIssuer>>;
let databaseUrl: string;

beforeAll(async () => {
  issuer = await startIssuer();
  database = await createTestDatabase();
  await setupOrders({ ownerUrl: database.ownerUrl, runtimeUser, runtimePassword });
  databaseUrl = withParts(database.runtimeUrl, { username: runtimeUser, password: runtimePassword });
});
afterAll(async () => {
  await issuer?.stop();
  await database?.drop();
  await runSql(withParts(database.superUrl, { pathname: '/postgres' }), `drop role ${runtimeUser}`);
});

describe.each(['drizzle', 'prisma'])('examples/%s', (name) => {
  /** The command of its README, from the root. */
  async function start(env: Record<string, string>, ...args: string[]): Promise<unknown> {
    const { stdout } = await run(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', `examples/${name}/main.ts`, ...args],
      { env: { DATABASE_URL: databaseUrl, ISSUER: issuer.url, ...env } },
    );
    return JSON.parse(stdout);
  }

  test('places and lists orders of the tenant of the token, and shows another tenant none of them', async () => {
    const [acme, globex] = [randomUUID(), randomUUID()];
    const as = async (tenant_id: string) => ({ ACCESS_TOKEN: await issuer.mint({ tenant_id }) });
    const chair = { item: 'chair', amount_cents: 12_500 };
    expect(await start(await as(acme), 'chair', '12500')).toEqual([chair]);
    expect(await start(await as(globex))).toEqual([]);
    expect(await start(await as(acme))).toEqual([chair]);
  });

  test('refuses a token that may not write, one of another issuer, and the owner as its login', async () => {
    const reading = { ACCESS_TOKEN: await issuer.mint({ scope: 'read' }) };
    await expect(start(reading, 'chair', '1')).rejects.toThrow('insufficient_scope');
    const foreign = { ACCESS_TOKEN: await issuer.mint({ iss: 'https://elsewhere.example.test' }) };
    await expect(start(foreign)).rejects.toThrow('wrong_issuer');
    await expect(start({ ...reading, DATABASE_URL: database.ownerUrl })).rejects.toThrow('unbound_role');
    await expect(start({ ACCESS_TOKEN: '' })).rejects.toThrow('must be set');
  });
});
