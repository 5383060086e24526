import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Ops, type Subject, subjects } from './subjects.ts';
import { createTenantDatabase, makeToken } from './tenant-database.ts';

let database: Awaited<ReturnType<typeof createTenantDatabase>>;

beforeAll(async () => {
  database = await createTenantDatabase();
});
afterAll(async () => {
  await database?.drop();
});

const settings = `select current_setting('app.current_tenant_id', true) as tenant,
  current_setting('request.jwt.claims', true) as claims, current_user::text as role`;

describe.each(Object.keys(subjects))('withTenant over %s', (name) => {
  const open: Subject[] = [];
  const start = (max = 2, url = database.url) => {
    const subject = subjects[name]!(url, max);
    open.push(subject);
    return subject;
  };
  afterEach(async () => {
    for (const subject of open.splice(0)) await subject.close();
  });

  test('gives each of two tenants its own rows and the result of the work, after COMMIT', async () => {
    const db = start();
    const [acme, globex] = [makeToken(), makeToken()];
    expect(await db.withTenant(acme, (tx) => tx.add('desk').then(() => 'done'))).toBe('done');
    await db.withTenant(globex, (tx) => tx.add('lamp'));
    expect(await db.withTenant(acme, (tx) => tx.items())).toEqual(['desk']);
    expect(await db.withTenant(globex, (tx) => tx.items())).toEqual(['lamp']);
    expect(await database.all(`select item from orders.orders where tenant_id = '${acme.tenantId}'`)).toEqual(
      [{ item: 'desk' }],
    );
  });

  test('sets tenant and all claims for the transaction, and leaves neither on the connection [P-07]', async () => {
    const db = start(1);
    const token = makeToken(randomUUID(), { claims: { roles: ['a', 'b'], n: 1 } });
    const [inside] = await db.withTenant(token, (tx) => tx.raw(settings));
    expect(inside).toMatchObject({ tenant: token.tenantId });
    expect(JSON.parse(inside!['claims'] as string)).toEqual(token.claims);
    const [after] = await db.bare(settings);
    expect([after!['tenant'] || null, after!['claims'] || null]).toEqual([null, null]);
  });

  test('20 transactions of two tenants at once on a pool of 2 stay apart', async () => {
    const db = start(2);
    const tokens = [makeToken(), makeToken()];
    const seen = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        db.withTenant(tokens[index % 2]!, async (tx) => {
          await tx.add(`item of ${tokens[index % 2]!.tenantId}`);
          return tx.items();
        }),
      ),
    );
    seen.forEach((items, index) => {
      expect(new Set(items)).toEqual(new Set([`item of ${tokens[index % 2]!.tenantId}`]));
    });
    for (const token of tokens) expect(await db.withTenant(token, (tx) => tx.items())).toHaveLength(10);
  });

  test('with one connection: A throws after its write, B sees B, a query without a tenant fails [A-170]', async () => {
    const db = start(1);
    const [a, b] = [makeToken(), makeToken()];
    await db.withTenant(b, (tx) => tx.add('of b'));
    await expect(
      db.withTenant(a, async (tx) => {
        await tx.add('of a');
        throw new Error('work failed');
      }),
    ).rejects.toThrow('work failed');
    expect(await db.withTenant(b, (tx) => tx.items())).toEqual(['of b']);
    await expect(db.bare('select item from orders.orders')).rejects.toThrow();
    expect(await db.withTenant(a, (tx) => tx.items())).toEqual([]);
  });

  test('an error of SQL comes through as it is, and rolls back', async () => {
    const db = start(1);
    const token = makeToken();
    const failed = db.withTenant(token, async (tx) => {
      await tx.add('first');
      await tx.raw('select 1 / 0');
    });
    expect(JSON.stringify(await failed.catch(describeError))).toContain('22012');
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual([]);
  });

  test('what COMMIT finds wrong rolls back and is thrown; the connection stays in use', async () => {
    const db = start(1);
    const token = makeToken();
    const failed = db.withTenant(token, async (tx) => {
      await tx.add('first');
      await tx.raw(`insert into orders.notes (order_id) values ('${randomUUID()}') returning order_id::text`);
    });
    expect(JSON.stringify(await failed.catch(describeError))).toMatch(/foreign ?key/i);
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual([]);
  });

  test('a failure that the work swallows is an error, and no commit that was none', async () => {
    const db = start(1);
    const token = makeToken();
    const failed = db.withTenant(token, async (tx) => {
      await tx.add('lost');
      await tx.raw('select 1 / 0').catch(() => {});
      return 'fine';
    });
    await expect(failed).rejects.toMatchObject({ name: 'RolledBackError', code: 'rolled_back' });
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual([]);
  });

  test('a tx that is kept past its end runs nothing, not even in another tenant’s transaction', async () => {
    const db = start(1);
    let kept: Ops | undefined;
    await db.withTenant(makeToken(), async (tx) => {
      kept = tx;
    });
    await expect(kept!.items()).rejects.toThrow();
    const other = makeToken();
    await db.withTenant(other, async (tx) => {
      await tx.add('of the other');
      await expect(kept!.items()).rejects.toThrow();
      await expect(kept!.onTx(other, (inner) => inner.items())).rejects.toMatchObject({
        code: 'transaction_over',
      });
    });
  });

  test('inside of a transaction of the same tenant it joins, on one connection and one commit', async () => {
    const db = start(1);
    const token = makeToken();
    const renewed = makeToken(token.tenantId, { expiresAt: new Date(Date.now() + 600_000) });
    const items = await db.withTenant(token, async (outer) => {
      await outer.add('1 outer');
      await db.withTenant(token, (tx) => tx.add('2 by context'));
      await outer.onTx(renewed, (tx) => tx.add('3 by tx'));
      await Promise.all([4, 5, 6].map((n) => db.withTenant(token, (tx) => tx.add(`${n} at once`))));
      return outer.items();
    });
    expect(items).toHaveLength(6);
    await expect(
      db.withTenant(token, async () => {
        await db.withTenant(token, (tx) => tx.add('7 inner'));
        throw new Error('outer failed');
      }),
    ).rejects.toThrow('outer failed');
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual(items);
  });

  test('on a pool of 2, four transactions that nest do not starve one another', async () => {
    const db = start(2);
    const token = makeToken();
    await Promise.all(
      [1, 2, 3, 4].map((n) =>
        db.withTenant(token, async () => db.withTenant(token, (tx) => tx.add(`item ${n}`))),
      ),
    );
    expect(await db.withTenant(token, (tx) => tx.items())).toHaveLength(4);
  });

  test('a joined work that throws takes the transaction with it, though the outer work catches the error', async () => {
    const db = start(1);
    const token = makeToken();
    const failed = db.withTenant(token, async (outer) => {
      await outer.add('outer');
      await db
        .withTenant(token, async () => {
          throw new Error('inner failed');
        })
        .catch(() => {});
    });
    await expect(failed).rejects.toMatchObject({ code: 'rolled_back', cause: { message: 'inner failed' } });
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual([]);
  });

  test('inside of it, another tenant, caller or role is refused, and the transaction goes on', async () => {
    const db = start(1);
    const token = makeToken();
    const work = async () => 'ran';
    await db.withTenant(token, async (outer) => {
      await expect(db.withTenant(makeToken(), work)).rejects.toMatchObject({ name: 'OtherTenantError' });
      await expect(outer.onTx(makeToken(), work)).rejects.toMatchObject({ code: 'other_tenant' });
      for (const other of [{ subject: 'user-2' }, { clientId: 'client-2' }, { scopes: new Set(['write']) }]) {
        const caller = makeToken(token.tenantId, other);
        await expect(db.withTenant(caller, work)).rejects.toMatchObject({ code: 'other_caller' });
      }
      await expect(db.withTenant(token, work, { role: database.reader })).rejects.toMatchObject({
        code: 'other_role',
      });
      await outer.add('after the refusals');
    });
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual(['after the refusals']);
  });

  test('runs as the given role for the transaction alone', async () => {
    const db = start(1);
    const token = makeToken();
    await db.withTenant(token, (tx) => tx.add('desk'));
    const role = database.reader;
    await db.withTenant(
      token,
      async (tx) => {
        expect(await tx.raw(settings)).toMatchObject([{ role, tenant: token.tenantId }]);
        expect(await db.withTenant(token, (inner) => inner.items(), { role })).toEqual(['desk']);
      },
      { role },
    );
    const refused = db.withTenant(token, (tx) => tx.add('lamp'), { role });
    expect(JSON.stringify(await refused.catch(describeError))).toContain('permission denied');
    expect(await db.bare('select current_user::text as role')).not.toMatchObject([{ role }]);
    for (const nobody of ['', 'none', 'NONE', 'a\0b', `x'; drop table orders.orders; --`]) {
      await expect(db.withTenant(token, (tx) => tx.items(), { role: nobody })).rejects.toThrow();
    }
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual(['desk']);
  });

  test('a connection that is killed in the middle is an error, and is not used again', async () => {
    const db = start(1);
    const token = makeToken();
    const failed = db.withTenant(token, async (tx) => {
      await tx.add('lost');
      const [row] = await tx.raw('select pg_backend_pid() as pid');
      await database.all(`select pg_terminate_backend(${row!['pid']}, 5000)`);
      await tx.add('lost too');
    });
    await expect(failed).rejects.toThrow();
    if (name !== 'prisma') {
      await expect(failed).rejects.toMatchObject({ code: 'database_unavailable', committed: 'no' });
    }
    expect(await db.withTenant(token, (tx) => tx.items())).toEqual([]);
  });
});

/** Whichever way a library wraps the error of the database. */
function describeError(error: unknown): unknown {
  const { message, code, meta, cause } = error as Error & { code?: string; meta?: unknown };
  return { message, code, meta, cause: cause && describeError(cause) };
}
