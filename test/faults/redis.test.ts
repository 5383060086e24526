import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, password, resource } from '#test/support/fixture.ts';
import { isSignedIn, type LoginForm, openLogin } from '#test/support/login-form.ts';
import { type RedisServer, redisPath, startRedis } from '#test/support/redis.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';

(redisPath() ? describe : describe.skip)('two nodes on one Redis', () => {
  let fixture: Fixture;
  let redis: RedisServer;
  let cluster: Cluster;
  let form: LoginForm;

  beforeAll(async () => {
    fixture = await createFixture();
    redis = await startRedis();
    cluster = await startCluster(fixture, 2, { REDIS_URL: redis.url });
    form = await openLogin(cluster.issuer);
  });
  afterAll(async () => {
    await cluster?.stop();
    await redis?.drop();
    await fixture?.drop();
  });

  const guess = async (email: string) => (await form.send({ email, password: 'a wrong password' })).status;
  const guessMany = async (email: string, times: number) => {
    const statuses: number[] = [];
    for (let i = 0; i < times; i += 1) {
      statuses.push(await guess(email));
    }
    return statuses;
  };
  const looked = (statuses: number[]) => statuses.filter((status) => status === 401).length;
  /** How often the nodes have said so. */
  const said = (event: string) =>
    cluster.nodes.flatMap(({ log }) => log).filter((line) => line['event'] === event).length;
  const untilItCountsAgain = async () => {
    await eventually(async () => {
      await guess(`${crypto.randomUUID()}@example.test`);
      return said('limits.redis_back') === said('limits.redis_away') || undefined;
    });
  };
  const expectTheRestWorks = async () => {
    const token = await call(`${cluster.issuer}/token`, {
      headers: basic('acme-m2m'),
      form: { grant_type: 'client_credentials', scope: 'read', resource },
    });
    expect(token.status).toBe(200);
    expect((await call(`${cluster.issuer}/jwks`)).status).toBe(200);
    const page = await openLogin(cluster.issuer);
    expect(isSignedIn(await page.send({ email: 'alice@example.test', password }))).toBe(true);
    for (const { process, log } of cluster.nodes) {
      expect(process.exitCode).toBeNull();
      expect(log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    }
  };

  test('count together, under keys that tell nothing', async () => {
    expect(await guessMany('one@example.test', 7)).toEqual([401, 401, 401, 401, 401, 429, 429]);
    const keys = (await redis.run('keys', '*')) as string[];
    expect(keys.length).toBeGreaterThanOrEqual(2);
    expect(keys.join('\n')).not.toMatch(/127\.0|example/);
    await expectTheRestWorks();
  });

  test('FLUSHALL in the middle gives the guesses of one more window here, and no error [A-219]', async () => {
    await guessMany('two@example.test', 4);
    await redis.run('flushall');
    const statuses = await guessMany('two@example.test', 8);
    expect(looked(statuses)).toBe(5);
    expect(statuses.at(-1)).toBe(429);
    await expectTheRestWorks();
  });

  const faults: [what: string, begin: () => Promise<unknown>, end: () => Promise<unknown>][] = [
    ['is slow', async () => redis.process.kill('SIGSTOP'), async () => redis.process.kill('SIGCONT')],
    [
      'has no memory left',
      () => redis.run('config', 'set', 'maxmemory', '1'),
      () => redis.run('config', 'set', 'maxmemory', '0'),
    ],
    [
      'is a read-only replica',
      () => redis.run('replicaof', '127.0.0.1', '1'),
      () => redis.run('replicaof', 'no', 'one'),
    ],
    [
      'drops every connection',
      async () => {
        await redis.run('client', 'kill', 'type', 'normal');
        await redis.stop();
      },
      () => redis.restart(),
    ],
  ];

  test.each(faults)(
    'a Redis that %s: guesses stay limited, tokens and keys go on [A-218, F-05]',
    async (what, begin, end) => {
      const email = `${what.replaceAll(' ', '-')}@example.test`;
      await begin();
      const statuses = await guessMany(email, 9);
      // At the moment of the change a guess may be counted on the one side and the next on the other.
      expect(looked(statuses)).toBeLessThanOrEqual(6);
      expect(statuses.slice(-3)).toEqual([429, 429, 429]);
      await expectTheRestWorks();
      await end();
      await untilItCountsAgain();
      await expectTheRestWorks();
    },
    30_000,
  );

  test('with Redis away from the start a node starts, and limits [F-05]', async () => {
    await redis.stop();
    const late = await startCluster(fixture, 1, { REDIS_URL: redis.url });
    try {
      const page = await openLogin(late.issuer);
      const statuses: number[] = [];
      for (let i = 0; i < 7; i += 1) {
        statuses.push((await page.send({ email: 'late@example.test', password: 'wrong' })).status);
      }
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
    } finally {
      await late.stop();
      await redis.restart();
    }
  }, 30_000);
});
