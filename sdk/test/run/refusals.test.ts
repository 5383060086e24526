import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PrismaPg } from '@prisma/adapter-pg';
import { drizzle } from 'drizzle-orm/node-postgres';
import {
  DummyDriver,
  Kysely,
  MysqlAdapter,
  MysqlIntrospector,
  MysqlQueryCompiler,
  PostgresDialect,
} from 'kysely';
import pg from 'pg';
import { type Prisma, PrismaClient } from '../../../examples/prisma/generated/client.ts';
import * as viaDrizzle from '../../src/drizzle.ts';
import type { VerifiedToken } from '../../src/index.ts';
import * as viaKysely from '../../src/kysely.ts';
import { type TenantTx, withTenant } from '../../src/pg.ts';
import * as viaPrisma from '../../src/prisma.ts';
import { markVerified } from '../../src/verify/verified-token.ts';
import { makePool } from './subjects.ts';
import { createTenantDatabase, makeToken } from './tenant-database.ts';

let database: Awaited<ReturnType<typeof createTenantDatabase>>;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTenantDatabase();
  pool = makePool(database.url, 1, { query_timeout: 300 });
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

test('takes nothing but what a verifier made: no claims, no JWT, no copy', async () => {
  const token = makeToken();
  let ran = 0;
  const work = async () => {
    ran += 1;
  };
  for (const fake of [{ ...token }, token.claims, 'eyJ.eyJ.x', undefined, null, Object.create(token)]) {
    await expect(withTenant(pool, fake as VerifiedToken, work)).rejects.toThrow(TypeError);
  }
  // @ts-expect-error claims that nobody has verified do not compile
  await expect(withTenant(pool, { tenantId: token.tenantId, claims: {} }, work)).rejects.toThrow(TypeError);
  // @ts-expect-error nor does the token itself
  await expect(withTenant(pool, 'eyJ.eyJ.x', work)).rejects.toThrow('verifier.verify()');
  expect(ran).toBe(0);
});

test('refuses a token that has expired since it was verified, and holds its message free of it', async () => {
  const expired = makeToken(undefined, { expiresAt: new Date(Date.now() - 1) });
  await expect(withTenant(pool, expired, async () => {})).rejects.toMatchObject({
    name: 'TokenError',
    code: 'expired',
    status: 401,
  });
});

test('accepts it as long as its verifier does, which may allow for clocks that differ', async () => {
  const { tenantId, subject, clientId, scopes, claims } = makeToken();
  const expiresAt = new Date(Date.now() - 1);
  const accepted = { tenantId, subject, clientId, scopes, claims, expiresAt };
  const token = markVerified(accepted, new Date(Date.now() + 15_000));
  expect(await withTenant(pool, token, async () => 'ran')).toBe('ran');
});

test('a transaction whose token expires meanwhile goes on, and may be joined', async () => {
  const token = makeToken();
  await withTenant(pool, token, async (tx) => {
    const expired = makeToken(token.tenantId, { expiresAt: new Date(0) });
    await withTenant(tx, expired, (inner) => inner.query('select 1'));
  });
});

describe('each library keeps its types', () => {
  test('pg', async () => {
    const count: number = await withTenant(pool, makeToken(), async (tx: TenantTx) => {
      const { rows } = await tx.query<{ n: number }>('select $1::int as n', [7]);
      return rows[0]!.n;
    });
    expect(count).toBe(7);
  });

  test('prisma: the transaction is Prisma.TransactionClient', async () => {
    const db = new PrismaClient({ adapter: new PrismaPg(pool) });
    const list = (tx: Prisma.TransactionClient) => tx.order.findMany({ select: { item: true } });
    const rows: { item: string }[] = await viaPrisma.withTenant(db, makeToken(), (tx) => list(tx));
    expect(rows).toEqual([]);
    await db.$disconnect();
  });

  test('prisma: an extended client keeps what was added', async () => {
    const db = new PrismaClient({ adapter: new PrismaPg(pool) }).$extends({
      model: { order: { nothing: () => 'nothing' } },
    });
    expect(await viaPrisma.withTenant(db, makeToken(), async (tx) => tx.order.nothing())).toBe('nothing');
    await db.$disconnect();
  });
});

describe('refuses a database that it cannot guard', () => {
  const unsupported = expect.objectContaining({ code: 'unsupported_database' });

  test('drizzle over a single client, which its requests would share', async () => {
    const client = new pg.Client(database.url);
    await expect(
      // @ts-expect-error a client is no pool
      viaDrizzle.withTenant(drizzle(client), makeToken(), async () => {}),
    ).rejects.toThrow(unsupported);
  });

  test('drizzle, kysely and prisma inside of a transaction that is not the tenant’s', async () => {
    const token = makeToken();
    await expect(
      drizzle(pool).transaction((tx) => viaDrizzle.withTenant(tx, token, async () => {})),
    ).rejects.toThrow(unsupported);
    const kysely = new Kysely({ dialect: new PostgresDialect({ pool }) });
    await expect(
      kysely.transaction().execute((tx) => viaKysely.withTenant(tx, token, async () => {})),
    ).rejects.toThrow(unsupported);
    const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });
    await expect(
      prisma.$transaction((tx) => viaPrisma.withTenant(tx, token, async () => {})),
    ).rejects.toThrow(unsupported);
    await prisma.$disconnect();
  });

  test('kysely with a dialect of another database', async () => {
    const db = new Kysely({
      dialect: {
        createAdapter: () => new MysqlAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (self) => new MysqlIntrospector(self),
        createQueryCompiler: () => new MysqlQueryCompiler(),
      },
    });
    await expect(viaKysely.withTenant(db, makeToken(), async () => {})).rejects.toThrow(unsupported);
  });
});

describe('a connection whose transaction may still be open', () => {
  const settings = `select nullif(current_setting('app.current_tenant_id', true), '') as tenant`;

  test('is closed with pg, when a statement outlasts its limit', async () => {
    const failed = withTenant(pool, makeToken(), (tx) => tx.query('select pg_sleep(1)'));
    await expect(failed).rejects.toMatchObject({ code: 'database_unavailable', committed: 'no' });
    expect((await pool.query(settings)).rows).toEqual([{ tenant: null }]);
  });

  test('is kept back with Kysely until it has rolled back', async () => {
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) });
    const failed = viaKysely.withTenant(db, makeToken(), (tx) =>
      tx.executeQuery(tx.selectNoFrom((eb) => eb.fn('pg_sleep', [eb.lit(1)]).as('slept')).compile()),
    );
    await expect(failed).rejects.toMatchObject({ code: 'database_unavailable', committed: 'no' });
    expect((await pool.query(settings)).rows).toEqual([{ tenant: null }]);
  });
});

test('a connection that is lost during COMMIT says that nobody knows', async () => {
  await database.all(`
    create function orders.hang_up() returns trigger language plpgsql security definer as
      $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
    create table orders.fragile (tenant_id uuid default (current_setting('app.current_tenant_id'))::uuid);
    create constraint trigger hang_up after insert on orders.fragile deferrable initially deferred
      for each row execute function orders.hang_up();
    grant insert on orders.fragile to ${new URL(database.url).username}`);
  const failed = withTenant(pool, makeToken(), (tx) => tx.query('insert into orders.fragile default values'));
  await expect(failed).rejects.toMatchObject({ code: 'database_unavailable', committed: 'unknown' });
});
