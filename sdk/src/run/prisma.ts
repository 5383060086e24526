import { AsyncLocalStorage } from 'node:async_hooks';
import type { VerifiedToken } from '../verify/verified-token.ts';
import { RolledBackError, TenantError } from './errors.ts';
import { type Adapter, runWithTenant, type TenantOptions } from './open.ts';
import { setConfig } from './settings.ts';

/** What a generated client of Prisma 6.16 or later has, and its transaction too. */
export interface PrismaLike {
  $executeRawUnsafe(statement: string): Promise<unknown>;
}

/** What the client itself gives to the callback of `$transaction`: `Prisma.TransactionClient` of the same client. */
export type TenantTx<Client> = Client extends { $transaction(work: (tx: infer Tx) => never): unknown }
  ? Tx
  : Client;

/**
 * Runs `work` in one interactive transaction of Prisma that sees and writes only the rows of the token's tenant; see
 * `withTenant` of `@tessera/rls/pg` for what it sets, joins and throws. Time limits are `transactionOptions` of the client.
 *
 * Prisma sends BEGIN by itself and waits for it, so the settings are a round trip of their own: one more than with pg. It
 * also names its errors by itself: a connection that cannot be had or is lost is one of Prisma's, with a code such as P1001.
 */
export function withTenant<Client extends PrismaLike, T>(
  db: Client,
  token: VerifiedToken,
  work: (tx: TenantTx<Client>) => Promise<T>,
  { role }: TenantOptions = {},
): Promise<T> {
  return runWithTenant(db, token, work, {
    role,
    adapter: () => prismaAdapter<TenantTx<Client>>(db as unknown as RunningClient),
  });
}

/** The same members, as they are used here. */
interface RunningClient {
  $transaction<T>(work: (tx: RunningTransaction) => Promise<T>): Promise<T>;
  $queryRawUnsafe(statement: string): Promise<Record<string, unknown>[]>;
  $extends(extension: object): RunningClient;
}

interface RunningTransaction {
  $executeRawUnsafe(statement: string): Promise<number>;
}

interface Operation {
  args: unknown;
  query(args: unknown): Promise<unknown>;
}

/** One transaction, as the operations in it see it. */
interface Watch {
  assertOpen(): void;
  failed: { error: unknown } | undefined;
  checking: boolean;
}

const watches = new AsyncLocalStorage<Watch>();
const watched = new WeakMap<RunningClient, RunningClient>();

function prismaAdapter<Tx extends object>(db: RunningClient): Adapter<Tx> {
  if (typeof db.$transaction !== 'function' || typeof db.$extends !== 'function') {
    throw new TenantError(
      'unsupported_database',
      'withTenant needs a client of Prisma, and no transaction of another maker',
    );
  }
  return {
    ask: (statement) => db.$queryRawUnsafe(statement),
    write: setConfig,
    transact(settings, inside, assertOpen) {
      const watch: Watch = { assertOpen, failed: undefined, checking: false };
      return watches.run(watch, () =>
        watchedClient(db).$transaction(async (tx) => {
          await tx.$executeRawUnsafe(settings);
          const result = await inside(tx as unknown as Tx);
          await assertCommittable(watch, tx);
          return result;
        }),
      );
    },
  };
}

// Made once for each client, since making it costs as much as a round trip.
function watchedClient(db: RunningClient): RunningClient {
  let client = watched.get(db);
  if (!client) {
    client = db.$extends({
      query: {
        async $allOperations({ args, query }: Operation) {
          const watch = watches.getStore();
          if (!watch?.checking) watch?.assertOpen();
          try {
            return await query(args);
          } catch (error) {
            if (watch) watch.failed = { error };
            throw error;
          }
        },
      },
    });
    watched.set(db, client);
  }
  return client;
}

// Prisma takes ROLLBACK for an answer to COMMIT. Asked only where something has failed, which need not have been in the
// database: a wrong argument leaves the transaction as it was.
async function assertCommittable(watch: Watch, tx: RunningTransaction): Promise<void> {
  if (!watch.failed) return;
  watch.checking = true;
  try {
    await tx.$executeRawUnsafe('select 1');
  } catch {
    throw new RolledBackError(watch.failed.error);
  }
}
