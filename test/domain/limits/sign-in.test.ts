import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { budgets } from '#src/budgets.ts';
import { deleteExpiredCounters } from '#src/database/counters.ts';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { type CounterStore, makePostgresCounters } from '#src/domain/limits/counters.ts';
import { makeSignInLimit } from '#src/domain/limits/sign-in.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  db = makeDatabase({ url: database.runtimeUrl, max: 4 });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

const tenant_id = crypto.randomUUID();
let ip = '';
let turn = 0;
beforeEach(() => {
  turn += 1;
  ip = `198.51.100.${turn}`;
});

const errors: unknown[] = [];
const windows = {
  ...budgets,
  sign_in: { points: 5, seconds: 900 },
  sign_in_address: { points: 20, seconds: 900 },
};

/** A node: its own memory, the shared counters, a clock that the test sets. */
function makeNode(stores: CounterStore[] = [makePostgresCounters(db, windows)]) {
  const clock = { ahead: 0 };
  const reserve = makeSignInLimit({
    stores,
    points: { sign_in: 5, sign_in_address: 20 },
    hash: async (name, value) => `${name} of ${value}`,
    onError: (error) => errors.push(error),
    now: () => Date.now() + clock.ahead,
  });
  return { reserve, clock };
}

const attempts = async (node: ReturnType<typeof makeNode>, account: string, times: number) => {
  const outcomes = await Promise.all(
    Array.from({ length: times }, () => node.reserve({ tenant_id, account, ip })),
  );
  return outcomes.filter(({ ok }) => ok).length;
};

describe('attempts to sign in', () => {
  test('are reserved before the work: of a hundred at once on two nodes five get to look [A-092]', async () => {
    const nodes = [makeNode(), makeNode()] as const;
    const passed = await Promise.all(nodes.map((node) => attempts(node, 'bob@example.test', 50)));
    expect(passed[0]! + passed[1]!).toBe(5);
  });

  test('count for one account however it is written, and for a name that is no address', async () => {
    const node = makeNode();
    for (const account of ['bob@example.test', ' BOB@Example.TEST ', 'ｂｏｂ@example.test']) {
      expect(await attempts(node, account, 1)).toBe(1);
    }
    expect(await attempts(node, 'bob@example.test', 5)).toBe(2);
    expect(await attempts(node, 'nobody', 9)).toBe(5);
  });

  test('count apart for another tenant, another account and another address', async () => {
    const node = makeNode();
    expect(await attempts(node, 'bob@example.test', 6)).toBe(5);
    const others = [
      { tenant_id: crypto.randomUUID(), account: 'bob@example.test', ip },
      { tenant_id, account: 'alice@example.test', ip },
      { tenant_id, account: 'bob@example.test', ip: `203.0.113.${turn}` },
    ];
    const outcomes = await Promise.all(others.map(node.reserve));
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true]);
  });

  test('count for the whole /64 of an IPv6 address, and for a mapped one as for IPv4 [A-097]', async () => {
    const node = makeNode();
    const account = 'bob@example.test';
    const from = async (address: string) => (await node.reserve({ tenant_id, account, ip: address })).ok;
    const inOne64 = Array.from({ length: 6 }, (_, i) => `2001:db8:0:${turn}:${i}::1`);
    expect((await Promise.all(inOne64.map(from))).filter(Boolean)).toHaveLength(5);
    for (const address of [ip, `::ffff:${ip}`, ip, `::FFFF:${ip}`, ip]) {
      expect(await from(address)).toBe(true);
    }
    expect(await from(`::ffff:${ip}`)).toBe(false);
  });

  test('of one address are limited over all accounts', async () => {
    const node = makeNode();
    let passed = 0;
    for (let i = 0; i < 25; i += 1) {
      passed += await attempts(node, `user${i}@example.test`, 1);
    }
    expect(passed).toBe(20);
    const outcome = await node.reserve({ tenant_id, account: 'another@example.test', ip });
    expect(outcome).toMatchObject({ ok: false, name: 'sign_in_address' });
  });

  test('that were refused by the address take nothing from the account', async () => {
    const node = makeNode();
    for (let i = 0; i < 20; i += 1) {
      await attempts(node, `user${i}@example.test`, 1);
    }
    for (let i = 0; i < 9; i += 1) {
      expect(await attempts(makeNode(), 'bob@example.test', 1)).toBe(0);
    }
    const rows = await runStatements(database.superUrl, [
      `select points from rate_limits where key like '%${ip}\nbob@example.test'`,
    ]);
    expect(rows).toEqual([{ points: 0 }]);
  });

  test('that succeed clear the account and give the address its point back', async () => {
    const node = makeNode();
    for (let i = 0; i < 30; i += 1) {
      const outcome = await node.reserve({ tenant_id, account: 'bob@example.test', ip });
      if (!outcome.ok) throw new Error(`refused at ${i}`);
      await outcome.succeeded();
      await outcome.release();
    }
    expect(await attempts(node, 'bob@example.test', 9)).toBe(5);
  });

  test('that were not looked at count for nothing', async () => {
    const node = makeNode();
    for (let i = 0; i < 30; i += 1) {
      const outcome = await node.reserve({ tenant_id, account: 'bob@example.test', ip });
      if (!outcome.ok) throw new Error(`refused at ${i}`);
      await outcome.release();
      await outcome.release();
    }
    expect(await attempts(node, 'bob@example.test', 9)).toBe(5);
  });

  test('settled late never leave less than nothing: neither the next window nor a cleared count gets a sixth', async () => {
    const node = makeNode();
    const reserve = async () => {
      const outcome = await node.reserve({ tenant_id, account: 'bob@example.test', ip });
      if (!outcome.ok) throw new Error('refused');
      return outcome;
    };
    const [first, second, third] = [await reserve(), await reserve(), await reserve()];
    await first.succeeded();
    await second.release();
    expect(await attempts(makeNode(), 'bob@example.test', 9)).toBe(5);
    await runStatements(database.superUrl, ['delete from rate_limits']);
    node.clock.ahead = 900_000;
    await third.release();
    expect(await runStatements(database.superUrl, ['select from rate_limits'])).toEqual([]);
  });

  test('are told for how long to wait, and are let in when that is over', async () => {
    const node = makeNode();
    await attempts(node, 'bob@example.test', 5);
    const outcome = await node.reserve({ tenant_id, account: 'bob@example.test', ip });
    if (outcome.ok) throw new Error('expected a refusal');
    expect(outcome.waitMs).toBeGreaterThan(890_000);
    expect(outcome.waitMs).toBeLessThanOrEqual(900_000);
    await runStatements(database.superUrl, ['update rate_limits set expire = expire - 900000']);
    node.clock.ahead = 2_000;
    expect(await attempts(node, 'bob@example.test', 9)).toBe(5);
  });

  test('of a flood that is refused ask the store once a second', async () => {
    let asked = 0;
    const store = makePostgresCounters(db, windows);
    const node = makeNode([
      {
        ...store,
        add: (...parameters) => {
          asked += 1;
          return store.add(...parameters);
        },
      },
    ]);
    for (let i = 0; i < 6; i += 1) {
      await attempts(node, 'bob@example.test', 1);
    }
    const before = asked;
    expect(await attempts(node, 'bob@example.test', 500)).toBe(0);
    expect(asked).toBe(before);
  });
});

describe('with a store that is away', () => {
  const away: CounterStore = {
    add: () => Promise.reject(new Error('away')),
    remove: () => Promise.reject(new Error('away')),
  };

  test('attempts are counted in the next one [F-05]', async () => {
    const node = makeNode([away, makePostgresCounters(db, windows)]);
    expect(await attempts(node, 'bob@example.test', 9)).toBe(5);
  });

  test('and no other, nobody is let in [F-05]', async () => {
    const node = makeNode([away]);
    await expect(node.reserve({ tenant_id, account: 'bob@example.test', ip })).rejects.toThrow('away');
  });

  test('when they settle, the sign-in stands and the failure is told', async () => {
    const store = makePostgresCounters(db, windows);
    const flaky = { ...store, remove: away.remove };
    const outcome = await makeNode([flaky]).reserve({ tenant_id, account: 'bob@example.test', ip });
    if (!outcome.ok) throw new Error('refused');
    errors.length = 0;
    await outcome.succeeded();
    expect(errors).toHaveLength(1);
  });
});

test('counters whose window is over are removed, and no other', async () => {
  await runStatements(database.superUrl, [
    'delete from rate_limits',
    `insert into rate_limits select 'old ' || n, 1, 1000 from generate_series(1, 2500) n`,
    `insert into rate_limits values ('new', 1, 3000)`,
  ]);
  await deleteExpiredCounters(db, new Date(2_000));
  expect(await runStatements(database.superUrl, ['select key from rate_limits'])).toEqual([{ key: 'new' }]);
});
