import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { seedOrders } from '#examples/orders-api/setup.ts';
import { createVerifier, type VerifiedToken } from '#tessera/rls';
import { DatabaseUnavailableError, type TenantTx, withTenant } from '#tessera/rls/pg';
import { lintExample } from './lint-example.ts';
import {
  type AnswerBody,
  audience,
  call,
  freePort,
  runSql,
  withParts,
  withPool,
} from './orders-api-fixture.ts';
import { type Orders, startOrders } from './orders-api-service.ts';

let orders: Orders;
let { acme, globex, op, database, runtimeUrl, api } = {} as Orders;

beforeAll(async () => {
  orders = await startOrders();
  ({ acme, globex, op, database, runtimeUrl, api } = orders);
});
afterAll(() => orders.close());

describe('over HTTP', () => {
  test('shows each of two tenants its own rows and nothing else', async () => {
    const answers = await Promise.all([acme, globex].map((tenant_id) => getOrders(op.mint({ tenant_id }))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers.map(({ body }) => body.tenant_id)).toEqual([acme, globex]);
    expect(itemsOf(answers[0]!.body)).toEqual(['acme desk lamp', 'acme keyboard', 'acme monitor']);
    expect(itemsOf(answers[1]!.body)).toEqual(['globex desk lamp', 'globex keyboard', 'globex monitor']);
  });

  test('places an order that its tenant reads back, and that for another tenant does not exist', async () => {
    const tenant_id = randomUUID();
    const created = await postOrder(
      op.mint({ tenant_id, scope: 'read write' }),
      JSON.stringify({ item: 'chair', amount_cents: 12_500 }),
    );
    expect(created).toMatchObject({ status: 201, body: { item: 'chair', amount_cents: 12_500 } });
    const path = created.headers.get('location')!;
    expect(path).toBe(`/orders/${created.body.id}`);

    const own = await call(api.url + path, op.mint({ tenant_id }));
    expect(own).toMatchObject({ status: 200, body: created.body });
    const hidden = await call(api.url + path, op.mint({ tenant_id: globex }));
    const absent = await call(`${api.url}/orders/${randomUUID()}`, op.mint({ tenant_id: globex }));
    expect(hidden.status).toBe(404);
    expect(hidden.body).toEqual(absent.body);
    expect((await call(`${api.url}/orders/1`, op.mint())).body).toEqual(absent.body);
  });

  test.each<[string, number, string]>([
    [
      'a member that names a tenant',
      400,
      JSON.stringify({ item: 'a', amount_cents: 1, tenant_id: randomUUID() }),
    ],
    ['no item', 400, '{"amount_cents":1}'],
    ['an empty item', 400, '{"item":"","amount_cents":1}'],
    ['an item of 201 characters', 400, JSON.stringify({ item: 'x'.repeat(201), amount_cents: 1 })],
    ['U+0000 in the item', 400, '{"item":"a\\u0000","amount_cents":1}'],
    ['a lone surrogate in the item', 400, '{"item":"\\ud800","amount_cents":1}'],
    ['half a cent', 400, '{"item":"a","amount_cents":0.5}'],
    ['a negative amount', 400, '{"item":"a","amount_cents":-1}'],
    ['more cents than an int holds', 400, '{"item":"a","amount_cents":2147483648}'],
    ['an array', 400, '[]'],
    ['null', 400, 'null'],
    ['broken JSON', 400, '{"item"'],
    ['a body over 4 KiB', 413, ' '.repeat(4097)],
  ])('refuses %s with %d', async (_name, status, body) => {
    const answer = await postOrder(op.mint({ scope: 'write' }), body);
    expect(answer).toMatchObject({ status, body: { status } });
  });

  test('refuses a body that is no JSON or does not announce its length', async () => {
    const text = await postOrder(op.mint({ scope: 'write' }), 'item=a', 'text/plain');
    expect(text).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    const chunked = await postOrder(op.mint({ scope: 'write' }), new Blob(['{}']).stream());
    expect(chunked).toMatchObject({ status: 411, body: { code: 'length_required' } });
  });

  test('answers an unknown path and method as problems too, and health without a token [RFC 9457]', async () => {
    expect(await call(`${api.url}/nothing`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await call(`${api.url}/orders`, op.mint(), { method: 'DELETE' })).toMatchObject({
      status: 405,
      body: { code: 'method_not_allowed' },
    });
    expect(await call(`${api.url}/healthz`)).toMatchObject({ status: 200, body: { status: 'ok' } });
  });
});

describe('under row-level security', () => {
  test('a query that forgot its tenant raises, on a fresh connection and after a transaction that had one [P-05]', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const forgotten = () => pool.query('select * from orders.orders');
      await expect(forgotten()).rejects.toMatchObject({ code: '42704' });
      await withTenant(pool, await verified(acme), countOrders);
      await expect(forgotten()).rejects.toMatchObject({ code: '22P02' });
    });
  });

  test('an insert for the other tenant is refused, and so is moving a row to it [P-11]', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const token = await verified(acme);
      const insert = "insert into orders.orders (tenant_id, item, amount_cents) values ($1, 'x', 1)";
      const move = 'update orders.orders set tenant_id = $1';
      for (const statement of [insert, move]) {
        const refused = withTenant(pool, token, (tx) => tx.query(statement, [globex]));
        await expect(refused).rejects.toMatchObject({ code: '42501' });
      }
    });
  });

  test('an unconditional delete reaches the rows of its tenant only', async () => {
    const tenant_id = randomUUID();
    await seedOrders({ databaseUrl: runtimeUrl, tenants: [{ tenant_id, slug: 'initech' }] });
    await withPool(runtimeUrl, async (pool) => {
      const token = await verified(tenant_id);
      const deleted = await withTenant(pool, token, (tx) =>
        tx.query('delete from orders.orders returning item'),
      );
      expect(deleted.rows).toHaveLength(3);
      expect(await withTenant(pool, await verified(acme), countOrders)).toBe(3);
    });
  });

  test('the owner of the table is bound as well [P-02]', async () => {
    await expect(runSql(database.ownerUrl, 'select * from orders.orders')).rejects.toMatchObject({
      code: '42704',
    });
  });

  test('a connection reused after an error leaks nothing to the next tenant or to nobody [A-170]', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const failing = withTenant(pool, await verified(acme), async (tx) => {
        await tx.query("insert into orders.orders (item, amount_cents) values ('half done', 1)");
        throw new Error('thrown by the handler');
      });
      await expect(failing).rejects.toThrow('thrown by the handler');
      const broken = withTenant(pool, await verified(acme), (tx) => tx.query('select 1/0'));
      await expect(broken).rejects.toMatchObject({ code: '22012' });

      const next = await withTenant(pool, await verified(globex), (tx) =>
        tx.query<{ tenant_id: string }>('select tenant_id from orders.orders'),
      );
      expect(next.rows.map(({ tenant_id }) => tenant_id)).toEqual([globex, globex, globex]);
      const left = await pool.query("select current_setting('request.jwt.claims') as claims");
      expect(left.rows).toEqual([{ claims: '' }]);
      await expect(pool.query('select * from orders.orders')).rejects.toMatchObject({ code: '22P02' });
      expect(await withTenant(pool, await verified(acme), countOrders)).toBe(3);
      expect(pool.totalCount).toBe(1);
    });
  });

  test('a transaction kept past its end does not reach into the next one', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const kept = await withTenant(pool, await verified(acme), async (tx) => ({ tx }));
      const reached = withTenant(pool, await verified(globex), () => kept.tx.query('select 1'));
      await expect(reached).rejects.toThrow('this transaction is over');
    });
  });

  test('a statement whose error was swallowed makes the whole transaction fail', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const swallowed = withTenant(pool, await verified(acme), async (tx) => {
        await tx.query('select 1/0').catch(() => undefined);
        return 'all is well';
      });
      await expect(swallowed).rejects.toThrow('rolled back');
    });
  });

  test('SQL may read the claims, quotes and backslashes included', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const token = await verified(acme, { sub: `o'neil \\ "x"` });
      const { rows } = await withTenant(pool, token, (tx) =>
        tx.query("select current_setting('request.jwt.claims')::json as claims"),
      );
      expect(rows).toEqual([{ claims: token.claims }]);
    });
  });

  test('the policy reads the tenant once per query and the key leads to the rows [P-24]', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const plan = await withTenant(pool, await verified(acme), async (tx) => {
        await tx.query('set local enable_seqscan = off');
        return tx.query('explain select * from orders.orders');
      });
      expect(JSON.stringify(plan)).toMatch(/InitPlan.*Index Cond: \(tenant_id = /);
    });
  });
});

describe('of database roles', () => {
  test('the linter finds nothing in the schema, seen as the one of the API [A-176]', async () => {
    const { username } = new URL(runtimeUrl);
    expect(await lintExample(database.superUrl, 'orders', username)).toEqual([]);
  });

  test('the API holds four privileges on one table and no attribute [P-01, P-12]', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const granted = await pool.query(
        'select table_schema, privilege_type from information_schema.role_table_grants where grantee = current_user',
      );
      expect(granted.rows.map((row) => `${row.table_schema} ${row.privilege_type}`).sort()).toEqual(
        ['DELETE', 'INSERT', 'SELECT', 'UPDATE'].map((privilege) => `orders ${privilege}`),
      );
      const role = await pool.query(
        `select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolinherit as any
         from pg_roles where rolname = current_user`,
      );
      expect(role.rows).toEqual([{ any: false }]);
      await expect(pool.query('truncate orders.orders')).rejects.toMatchObject({ code: '42501' });
    });
  });

  test.each<[string, () => string, RegExp]>([
    ['a superuser', () => database.superUrl, /database role ".+": it is a superuser/],
    ['the owner', () => database.ownerUrl, /database role ".+": it owns \S+, a table/],
  ])('refuses to run as %s, by name [P-01]', async (_name, url, message) => {
    await expect(orders.start(url())).rejects.toThrow(message);
    await withPool(url(), async (pool) => {
      await expect(withTenant(pool, await verified(acme), countOrders)).rejects.toThrow(message);
    });
  });

  test('refuses to run as a role that bypasses policies, or that may become one that does [P-01]', async () => {
    const { username, password } = new URL(runtimeUrl);
    const [bypassing, member] = [`${username}_b`, `${username}_m`];
    await runSql(
      database.superUrl,
      `create role ${bypassing} bypassrls;
       create role ${member} login noinherit password '${password}' in role ${bypassing};
       grant connect on database ${database.name} to ${member}`,
    );
    try {
      const start = orders.start(withParts(runtimeUrl, { username: member }));
      await expect(start).rejects.toThrow(`"${member}": it may become "${bypassing}", which has BYPASSRLS`);
    } finally {
      await runSql(database.superUrl, `drop owned by ${member}; drop role ${member}, ${bypassing}`);
    }
  });
});

describe('when something is down', () => {
  test('a database that cannot be reached is 503, health is not affected', async () => {
    const lonely = await orders.start(withParts(runtimeUrl, { port: await freePort() }));
    try {
      const answer = await call(`${lonely.url}/orders`, op.mint());
      expect(answer).toMatchObject({ status: 503, body: { code: 'database_unavailable' } });
      expect(JSON.stringify(answer.body)).not.toMatch(/ECONNREFUSED|127\.0\.0\.1/);
      expect(orders.reported.at(-1)).toBeInstanceOf(DatabaseUnavailableError);
      expect((await call(`${lonely.url}/healthz`)).status).toBe(200);
    } finally {
      await lonely.close();
    }
  });

  test('a connection lost in mid-transaction is reported as such and replaced', async () => {
    await withPool(runtimeUrl, async (pool) => {
      const lost = withTenant(pool, await verified(acme), (tx) =>
        tx.query('select pg_terminate_backend(pg_backend_pid())'),
      );
      await expect(lost).rejects.toBeInstanceOf(DatabaseUnavailableError);
      expect(await withTenant(pool, await verified(acme), countOrders)).toBe(3);
    });
  });

  test('a connection too slow even for the rollback is not used again', async () => {
    const work = async (pool: pg.Pool) => {
      const slow = withTenant(pool, await verified(acme), (tx) => tx.query('select pg_sleep(20)'));
      await expect(slow).rejects.toBeInstanceOf(DatabaseUnavailableError);
      expect(await withTenant(pool, await verified(globex), countOrders)).toBe(3);
    };
    await withPool(runtimeUrl, work, { query_timeout: 500 });
  });

  test('an issuer whose keys cannot be fetched is 503: the token is neither good nor bad', async () => {
    const issuer = `${op.issuer}/elsewhere`;
    const keyless = await orders.start(runtimeUrl, issuer);
    try {
      const answer = await call(`${keyless.url}/orders`, op.mint({ iss: issuer }));
      expect(answer).toMatchObject({ status: 503, body: { error: 'keys_unavailable' } });
    } finally {
      await keyless.close();
    }
  });
});

function getOrders(token: string | Promise<string>) {
  return call(`${api.url}/orders`, token);
}

function postOrder(token: Promise<string>, body: string | ReadableStream, type = 'application/json') {
  const init = { method: 'POST', body, headers: { 'content-type': type }, duplex: 'half' } as const;
  return call(`${api.url}/orders`, token, init);
}

async function verified(tenant_id: string, claims: Record<string, unknown> = {}): Promise<VerifiedToken> {
  const verifier = createVerifier({ issuer: op.issuer, audience });
  return verifier.verify(await op.mint({ tenant_id, ...claims }));
}

function itemsOf(body: AnswerBody): string[] | undefined {
  return body.orders?.map(({ item }) => item).sort();
}

async function countOrders(tx: TenantTx): Promise<number> {
  return (await tx.query('select 1 from orders.orders')).rows.length;
}
