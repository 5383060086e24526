import { Redis } from 'ioredis';
import { RateLimiterPostgres, RateLimiterRedis } from 'rate-limiter-flexible';
import { type BudgetName, budgets } from '#src/budgets.ts';
import { type CounterClient, makeCounterClient } from '#src/database/counters.ts';
import type { Database } from '#src/database/pool.ts';
import type { SharedCount, Window } from '#src/lib/batched-counts.ts';
import type { Secret } from '#src/lib/secret.ts';

/** A credential route waits no longer for Redis. */
const redisMs = 100;
/** So long a store that failed is not asked again, so that requests do not queue up behind it. */
const restMs = 1_000;

/** Counters that all nodes share. Every function fails when the store is away. */
export interface CounterStore {
  /** Adds to the counter, or takes back when `points` is negative. Atomic. */
  add(name: BudgetName, key: string, points: number): Promise<SharedCount>;
  remove(name: BudgetName, key: string): Promise<void>;
}

/** One store with what opens and closes it. */
export interface OpenCounterStore extends CounterStore {
  /** Waits a moment for the connection; an absent store is asked again by itself. */
  start(): Promise<void>;
  close(): void;
}

type Windows = Readonly<Record<BudgetName, Window>>;
type Limiter = Pick<RateLimiterRedis, 'penalty' | 'reward' | 'delete'>;

function makeStore(make: (name: BudgetName) => Limiter): CounterStore {
  const limiters = new Map((Object.keys(budgets) as BudgetName[]).map((name) => [name, make(name)] as const));
  return {
    async add(name, key, points) {
      const limiter = limiters.get(name)!;
      const { consumedPoints, msBeforeNext } = await (points > 0
        ? limiter.penalty(key, points)
        : limiter.reward(key, -points));
      return { consumed: consumedPoints, endsInMs: msBeforeNext };
    },
    async remove(name, key) {
      await limiters.get(name)!.delete(key);
    },
  };
}

/** Counters in the table `rate_limits`. */
export function makePostgresCounters(db: Pick<Database, 'aux' | 'prepared'>, windows: Windows): CounterStore {
  const storeClient: CounterClient = makeCounterClient(db);
  return makeStore(
    (name) =>
      new RateLimiterPostgres({
        storeClient,
        storeType: 'pool',
        tableName: 'rate_limits',
        tableCreated: true,
        // The jobs do it, of all nodes once.
        clearExpiredByTimeout: false,
        keyPrefix: name,
        points: windows[name].points,
        duration: windows[name].seconds,
      }),
  );
}

/**
 * Counters in Redis or Valkey, each answer within 100 ms. One that fails is left alone for a second; meanwhile, and while there is
 * no connection, every call fails at once. `onChange` hears when it goes away and comes back.
 */
export function makeRedisCounters(
  url: Secret,
  windows: Windows,
  { now, onChange }: { now: () => number; onChange: (error: unknown) => void },
): OpenCounterStore {
  const redis = new Redis(url.reveal(), {
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: redisMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
  });
  let restUntil = 0;
  let away = false;
  const note = (error: unknown) => {
    if (away !== (error !== undefined)) {
      away = error !== undefined;
      onChange(error);
    }
  };
  redis.on('error', note);

  const store = makeStore(
    (name) =>
      new RateLimiterRedis({
        storeClient: redis,
        rejectIfRedisNotReady: true,
        keyPrefix: `tessera:${name}`,
        points: windows[name].points,
        duration: windows[name].seconds,
      }),
  );
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    if (now() < restUntil) {
      throw new Error('the counters in Redis are left alone for a moment');
    }
    try {
      const result = await within(redisMs, work());
      note(undefined);
      return result;
    } catch (error) {
      restUntil = now() + restMs;
      note(error);
      throw error;
    }
  };
  return {
    add: (name, key, points) => guard(() => store.add(name, key, points)),
    remove: (name, key) => guard(() => store.remove(name, key)),
    async start() {
      await within(restMs, redis.connect()).catch(note);
    },
    close() {
      redis.disconnect();
    },
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
