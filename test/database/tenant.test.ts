import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type pg from 'pg';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import {
  findTenantId,
  isTenantId,
  openTransaction,
  type TenantTx,
  TransactionLostError,
  tenantIdOf,
  withTenant,
} from '#src/database/tenant.ts';
import { directoryKey } from '#src/domain/tenants/directory.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

const [acme, globex] = [randomUUID(), randomUUID()];
let database: TestDatabase;
let db: Database;
let onError = (_: Error) => {};

beforeAll(async () => {
  database = await createTestDatabase();
  // One connection: what a test leaves behind on it, or fails to give back, the next one meets.
  db = makeDatabase({ url: database.runtimeUrl, max: 1, onError: (error) => onError(error) });
  for (const [tenant_id, slug] of [
    [acme, 'acme'],
    [globex, 'globex'],
  ] as const) {
    await withTenant(db, tenant_id, async (tx) => {
      await tx.insertInto('tenants').values({ tenant_id, slug, name: slug }).execute();
      await tx
        .insertInto('users')
        .values({ email: `alice@${slug}.test` })
        .execute();
    });
  }
});
afterAll(async () => {
  await db?.close();
  await database?.drop();
});

const readEmails = async (tx: TenantTx) =>
  (await tx.selectFrom('users').select('email').orderBy('email').execute()).map(({ email }) => email);

const addUser = (tx: TenantTx, email: string) => tx.insertInto('users').values({ email }).execute();

const divideByZero = (tx: TenantTx) => sql`select 1 / 0`.execute(tx);

/** The one connection is free, clean and shows each tenant its own rows. */
async function expectUsable(at: Database = db) {
  expect(at.pool.waitingCount).toBe(0);
  expect(at.pool.idleCount).toBe(at.pool.totalCount);
  expect(await withTenant(at, acme, readEmails)).toEqual(['alice@acme.test']);
  expect(await withTenant(at, globex, readEmails)).toEqual(['alice@globex.test']);
}

describe('withTenant', () => {
  test('commits what the work did and gives its result', async () => {
    await withTenant(db, acme, (tx) => addUser(tx, 'carol@acme.test'));
    expect(await withTenant(db, acme, readEmails)).toEqual(['alice@acme.test', 'carol@acme.test']);
    expect(await withTenant(db, globex, readEmails)).toEqual(['alice@globex.test']);
    await withTenant(db, acme, (tx) =>
      tx.deleteFrom('users').where('email', '=', 'carol@acme.test').execute(),
    );
    await expectUsable();
  });

  test('joins an open transaction of the same tenant', async () => {
    const failure = new Error('after the inner one');
    const outer = withTenant(db, acme, async (tx) => {
      await withTenant(tx, acme, async (inner) => {
        expect(inner).toBe(tx);
        await addUser(inner, 'carol@acme.test');
      });
      throw failure;
    });
    await expect(outer).rejects.toBe(failure);
    await expectUsable();
  });

  test('refuses to join an open transaction of another tenant', async () => {
    let called = false;
    const outer = withTenant(db, acme, (tx) =>
      withTenant(tx, globex, async () => {
        called = true;
      }),
    );
    await expect(outer).rejects.toThrow('the open transaction runs under another tenant');
    expect(called).toBe(false);
    await expectUsable();
  });

  test('rolls back when the work throws, before and after it waited', async () => {
    const failure = new Error('no');
    const atOnce = withTenant(db, acme, () => {
      throw failure;
    });
    await expect(atOnce).rejects.toBe(failure);
    const later = withTenant(db, acme, async (tx) => {
      await addUser(tx, 'carol@acme.test');
      throw failure;
    });
    await expect(later).rejects.toBe(failure);
    await expectUsable();
  });

  test('does not pass an aborted transaction off as a commit', async () => {
    const swallowed = withTenant(db, acme, async (tx) => {
      await addUser(tx, 'carol@acme.test');
      await divideByZero(tx).catch(() => {});
      return 'done';
    });
    await expect(swallowed).rejects.toThrow(TransactionLostError);
    await expectUsable();
  });

  test('throws what a deferred trigger or constraint says at the commit', async () => {
    await runStatements(database.ownerUrl, [
      `create function no_commit() returns trigger language plpgsql as $$ begin raise 'refused at the commit'; end $$`,
      `create constraint trigger no_commit after insert on roles deferrable initially deferred
        for each row execute function no_commit()`,
    ]);
    const refused = withTenant(db, acme, (tx) =>
      tx.insertInto('roles').values({ name: 'refused' }).execute(),
    );
    await expect(refused).rejects.toThrow('refused at the commit');
    await runStatements(database.ownerUrl, ['drop function no_commit cascade']);
    await expectUsable();
  });

  test.each([
    ['none', ''],
    ['no uuid', 'acme'],
    ['upper case', acme.toUpperCase()],
    ['a space behind', `${acme} `],
    ['a line feed behind', `${acme}\n`],
    ['braces', `{${acme}}`],
    ['SQL', `${acme}', true); drop table users; --`],
  ])('refuses a tenant id that is %s, and keeps no connection [A-173]', async (_, tenant_id) => {
    expect(isTenantId(tenant_id)).toBe(false);
    await expect(withTenant(db, tenant_id, readEmails)).rejects.toThrow('must be a lower-case uuid');
    await expectUsable();
  });

  test('shows nothing under the id of no tenant [A-173]', async () => {
    expect(await withTenant(db, randomUUID(), readEmails)).toEqual([]);
  });

  test('refuses whoever uses the transaction after its end, so that it never runs in the next one', async () => {
    const kept = await withTenant(db, acme, async (tx) => tx);
    const other = await openTransaction(db.pool, db.prepared, { tenant_id: globex });
    await expect(readEmails(kept)).rejects.toThrow('the transaction has ended');
    await expect(withTenant(kept, acme, readEmails)).rejects.toThrow('the transaction has ended');
    expect(await readEmails(other.tx())).toEqual(['alice@globex.test']);
    await other.commit();
    await expectUsable();
  });

  test('keeps twenty transactions of two tenants apart on two connections [A-183]', async () => {
    const two = makeDatabase({ url: database.runtimeUrl, max: 2 });
    const turns = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const tenant_id = index % 2 ? acme : globex;
        return withTenant(two, tenant_id, async (tx) => {
          const reads = [await readEmails(tx), await readEmails(tx)];
          if (index % 5 === 0) {
            await divideByZero(tx).catch(() => {});
          }
          return { reads, tenant_id, seenId: tenantIdOf(tx) };
        }).catch((error: unknown) => ({ error, index }));
      }),
    );
    for (const turn of turns) {
      if ('error' in turn) {
        expect(turn).toEqual({ error: expect.any(TransactionLostError), index: expect.any(Number) });
        expect(turn.index % 5).toBe(0);
      } else {
        const own = [turn.tenant_id === acme ? 'alice@acme.test' : 'alice@globex.test'];
        expect(turn).toMatchObject({ reads: [own, own], seenId: turn.tenant_id });
      }
    }
    expect(turns.filter((turn) => 'error' in turn)).toHaveLength(4);
    expect(two.pool.totalCount).toBe(2);
    await two.close();
  });

  test('works the same without prepared statements, as behind a pooler in transaction mode [A-171]', async () => {
    const pooled = makeDatabase({ url: database.runtimeUrl, max: 1, pgbouncer: true });
    expect(pooled.prepared).toBe(false);
    await expectUsable(pooled);
    await pooled.close();
  });
});

describe('the connection between two transactions', () => {
  test('has no tenant left, after a commit, a rollback and an error [A-170]', async () => {
    const works: ((tx: TenantTx) => Promise<unknown>)[] = [
      readEmails,
      async () => Promise.reject(new Error('no')),
      divideByZero,
    ];
    for (const work of works) {
      await withTenant(db, acme, work).catch(() => {});
      await expect(db.pool.query('select email from users')).rejects.toMatchObject({
        code: '42501',
        message: 'no tenant is set for this transaction',
      });
      const bare = await openTransaction(db.pool, db.prepared, {});
      expect(() => bare.tx()).toThrow('the tenant of this transaction is not known yet');
      await expect(bare.run({ text: 'select email from users' })).rejects.toMatchObject({ code: '42501' });
      await bare.rollback();
      expect(await withTenant(db, globex, readEmails)).toEqual(['alice@globex.test']);
    }
  });

  test('has no presented key left [A-170]', async () => {
    const select = { text: 'select tenant_id from directory' };
    const open = await openTransaction(db.pool, db.prepared, { key: directoryKey('slug', 'acme') });
    expect((await open.run(select)).rows).toEqual([{ tenant_id: acme }]);
    await open.commit();
    expect((await db.pool.query(select)).rows).toEqual([]);
  });
});

describe('a database that goes away', () => {
  const select = 'select pg_backend_pid() as pid';
  const terminate = ({ rows }: { rows: { pid?: number }[] }) =>
    runStatements(database.superUrl, [`select pg_terminate_backend(${rows[0]!.pid}, 5000)`]);

  test('fails the begin that nothing waits for, and the next transaction finds a new connection', async () => {
    const connect = async () => {
      const client = await db.pool.connect();
      await terminate(await client.query(select));
      return client;
    };
    const dying = { ...db, pool: { connect } as pg.Pool };
    await expect(withTenant(dying, acme, readEmails)).rejects.toThrow();
    await expectUsable();
    await expect(withTenant(dying, acme, async () => 'nothing read')).rejects.toThrow();
    await expectUsable();
  });

  test('reports an idle connection that is lost', async () => {
    const lost = new Promise<Error>((resolve) => {
      onError = resolve;
    });
    await terminate(await db.pool.query(select));
    expect(await lost).toMatchObject({ code: '57P01' });
    await expectUsable();
  });

  test('fails the transaction that is open and idle, and not the process', async () => {
    const open = await openTransaction(db.pool, db.prepared, { tenant_id: acme });
    await terminate(await open.run({ text: select }));
    await expect(readEmails(open.tx())).rejects.toThrow();
    await expect(open.commit()).rejects.toThrow();
    await expectUsable();
  });

  test('fails the statement under way, and gives its error and not that of the rollback', async () => {
    const failed = withTenant(db, acme, async (tx) => {
      const pid = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      const sleeping = sql`select pg_sleep(30)`.execute(tx);
      await Promise.all([sleeping, terminate(pid)]);
    });
    await expect(failed).rejects.toMatchObject({ code: '57P01' });
    await expectUsable();
  });

  test('gives an error when no connection is free in time, and works again afterwards', async () => {
    const open = await openTransaction(db.pool, db.prepared, { tenant_id: acme });
    await expect(withTenant(db, globex, readEmails)).rejects.toThrow(
      'timeout exceeded when trying to connect',
    );
    await open.commit();
    await expectUsable();
  });
});

describe('openTransaction', () => {
  test('takes its tenant later, once', async () => {
    const open = await openTransaction(db.pool, db.prepared, {});
    expect(open.tenantId()).toBeUndefined();
    expect(() => open.setTenant(acme.toUpperCase())).toThrow('must be a lower-case uuid');
    open.setTenant(acme);
    open.setTenant(acme);
    expect(() => open.setTenant(globex)).toThrow('the transaction already runs under another tenant');
    expect(open.tenantId()).toBe(acme);
    expect(await readEmails(open.tx())).toEqual(['alice@acme.test']);
    await open.commit();
    await expectUsable();
  });

  test('reports at the commit what a statement that nobody awaited said', async () => {
    const open = await openTransaction(db.pool, db.prepared, { tenant_id: acme });
    void open.run({ text: 'select 1 / 0' });
    await expect(open.commit()).rejects.toMatchObject({ code: '22012' });
    await expectUsable();
  });

  test('ends once: a rollback behind a commit does nothing', async () => {
    const open = await openTransaction(db.pool, db.prepared, { tenant_id: acme });
    await open.commit();
    await open.rollback();
    expect(() => open.run({ text: 'select 1' })).toThrow('the transaction has ended');
    await expectUsable();
  });
});

describe('findTenantId', () => {
  test('finds the tenant of a name of this kind only', async () => {
    expect(await findTenantId(db, 'slug', directoryKey('slug', 'acme'))).toBe(acme);
    expect(await findTenantId(db, 'slug', directoryKey('slug', 'nobody'))).toBeUndefined();
    expect(await findTenantId(db, 'client', directoryKey('slug', 'acme'))).toBeUndefined();
    expect(await findTenantId(db, 'slug', directoryKey('client', 'acme'))).toBeUndefined();
  });

  test('gives its connection back', async () => {
    await findTenantId(db, 'slug', directoryKey('slug', 'acme'));
    expect(db.aux.idleCount).toBe(db.aux.totalCount);
  });
});
