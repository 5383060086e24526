import { createHmac, hkdfSync } from 'node:crypto';
import {
  type BatchedName,
  type BudgetChanges,
  type BudgetName,
  batchedBudgets,
  budgets,
  type exactBudgets,
} from '#src/budgets.ts';
import type { Database } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { ensureServerSecrets } from '#src/domain/keys/server-secrets.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { makeBatchedCounts, type Window } from '#src/lib/batched-counts.ts';
import type { Log } from '#src/lib/log.ts';
import type { MasterKey } from '#src/lib/master-key.ts';
import type { Secret } from '#src/lib/secret.ts';
import { makePostgresCounters, makeRedisCounters } from './counters.ts';
import { makeSignInLimit, type Reservation, type SignInAttempt } from './sign-in.ts';

/** Why something is refused for now: the limit, and when it counts anew. */
export interface Refusal {
  ok: false;
  retryAfterSeconds: number;
  limit: { name: BudgetName; points: number; seconds: number };
}

/** The rate limits of this node, shared with all others. */
export interface Limits {
  /** Waits a moment for Redis, where it is configured, and reads the key that what is counted is hashed with. */
  start(): Promise<void>;
  /**
   * Counts a failed sign-in in advance, for the account from this address and for the address. Refuses when either is used up,
   * whether the account exists or not. Throws when neither Redis nor the database can count: then nobody signs in.
   */
  reserveSignIn(attempt: SignInAttempt): Promise<Reservation | Refusal>;
  /** Counts one at once, or refuses. Waits for nothing. */
  take(name: BatchedName, key: string): Refusal | undefined;
  /** Refuses when the budget is used up, and counts nothing. */
  check(name: BatchedName, key: string): Refusal | undefined;
  /** Counts one that `check` let pass. */
  count(name: BatchedName, key: string): void;
  /** Calls the listener with the name of the limit at every refusal. */
  onRefused(listener: (name: BudgetName) => void): void;
  /** Sends what was counted and not yet shared. */
  close(): Promise<void>;
}

export interface LimitsDependencies {
  db: Database;
  config: {
    redisUrl?: Secret | undefined;
    rateLimits: BudgetChanges;
    masterKeys: readonly MasterKey[];
  };
  log: Log;
}

export function makeLimits({ db, config, log }: LimitsDependencies): Limits {
  const windows: Record<BudgetName, Window> = { ...budgets, ...config.rateLimits };
  const now = Date.now;
  const listeners: ((name: BudgetName) => void)[] = [];
  const hash = makeKeyHash(db, config.masterKeys);

  const postgres = makePostgresCounters(db, windows);
  const redis =
    config.redisUrl &&
    makeRedisCounters(config.redisUrl, windows, {
      now,
      onChange: (err) =>
        err === undefined
          ? log.info({ event: 'limits.redis_back' }, 'Redis counts again')
          : log.warn(
              { event: 'limits.redis_away', err },
              'Redis does not count: sign-ins are counted in PostgreSQL, all else by each node alone',
            ),
    });
  const onError = makeErrorNote(log);
  const reserve = makeSignInLimit({
    stores: redis ? [redis, postgres] : [postgres],
    points: {
      sign_in: windows.sign_in.points,
      sign_in_address: windows.sign_in_address.points,
    } satisfies Record<keyof typeof exactBudgets, number>,
    hash,
    onError,
    now,
  });
  const shared = redis ?? postgres;
  const batched = makeBatchedCounts<BatchedName>(pick(windows), {
    add: async (name, key, points) => shared.add(name, await hash(name, key), points),
    onError: redis ? () => {} : onError,
    // One at a time leaves the other connections to requests.
    parallel: redis ? 32 : 1,
  });

  const refuse = (name: BudgetName, waitMs: number): Refusal => {
    for (const listener of listeners) {
      listener(name);
    }
    const { points, seconds } = windows[name];
    return {
      ok: false,
      retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
      limit: { name, points, seconds },
    };
  };
  const refuseIf = (name: BudgetName, waitMs: number | undefined) =>
    waitMs === undefined ? undefined : refuse(name, waitMs);

  return {
    async start() {
      await Promise.all([redis?.start(), hash('sign_in', '')]);
    },
    async reserveSignIn(attempt) {
      const outcome = await reserve(attempt);
      return outcome.ok ? outcome : refuse(outcome.name, outcome.waitMs);
    },
    take: (name, key) => refuseIf(name, batched.take(name, key)),
    check: (name, key) => refuseIf(name, batched.check(name, key)),
    count: batched.count,
    onRefused(listener) {
      listeners.push(listener);
    },
    async close() {
      await batched.close();
      redis?.close();
    },
  };
}

/**
 * Keyed by a secret that only servers can open, so that a dump of either store shows neither addresses nor accounts, and nobody
 * can find one by trying.
 */
function makeKeyHash(db: Database, masterKeys: readonly MasterKey[]) {
  let key: Promise<Uint8Array> | undefined;
  const readKey = async () => {
    const { protocol_store } = await withTenant(
      db,
      platformTenantId,
      (tx) => ensureServerSecrets(tx, masterKeys),
      { aux: true },
    );
    return new Uint8Array(hkdfSync('sha256', protocol_store, '', 'tessera rate limits', 32));
  };
  return async (name: BudgetName, value: string): Promise<string> => {
    key ??= readKey();
    try {
      return createHmac('sha256', await key)
        .update(`${name}\n${value}`)
        .digest('base64url');
    } catch (error) {
      key = undefined;
      throw error;
    }
  };
}

/** A store that is away fails with every addition: one line a minute says so. */
function makeErrorNote(log: Log) {
  let quietUntil = 0;
  return (err: unknown) => {
    if (Date.now() >= quietUntil) {
      quietUntil = Date.now() + 60_000;
      log.warn({ event: 'limits.not_counted', err }, 'a rate limit could not be counted');
    }
  };
}

function pick(windows: Record<BudgetName, Window>): Record<BatchedName, Window> {
  const names = Object.keys(batchedBudgets) as BatchedName[];
  return Object.fromEntries(names.map((name) => [name, windows[name]])) as Record<BatchedName, Window>;
}
