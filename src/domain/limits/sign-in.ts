import type { BudgetName, ExactName } from '#src/budgets.ts';
import { addressKey } from '#src/lib/client-ip.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import type { CounterStore } from './counters.ts';

export interface SignInAttempt {
  tenant_id: string;
  /** The address that was typed. Anything that is none counts under itself, as an unknown one does. */
  account: string;
  ip: string;
}

/** One attempt that was counted as a failure before the password is looked at. Only the first call settles it. */
export interface Reservation {
  ok: true;
  /** The password was right: the account counts anew here, and the address gets its point back. */
  succeeded(): Promise<void>;
  /** The password was not looked at: both get their point back. */
  release(): Promise<void>;
}

/** Which budget is used up, and for how long. */
export interface Exhausted {
  ok: false;
  name: ExactName;
  waitMs: number;
}

interface Point {
  name: ExactName;
  key: string;
}

interface Taken extends Point {
  store: CounterStore;
  consumed: number;
  endsAt: number;
}

/** So long a budget that was used up is believed to be so, without asking: a flood costs the store one question a second. */
const memoryMs = 1_000;
const maxRemembered = 10_000;

export interface SignInDependencies {
  /** Asked in this order; the first that answers counts. When none does, the attempt fails with the error of the last. */
  stores: readonly CounterStore[];
  points: Readonly<Record<ExactName, number>>;
  /** Makes of what is counted a key that tells nothing. */
  hash(name: BudgetName, value: string): Promise<string>;
  onError(error: unknown): void;
  now: () => number;
}

/**
 * Reserves attempts to sign in. The failure is counted before the password is looked at, in one atomic step for each budget, so
 * that of any number of attempts at once no more than the budget get to look.
 */
export function makeSignInLimit(
  dependencies: SignInDependencies,
): (attempt: SignInAttempt) => Promise<Reservation | Exhausted> {
  const { hash, now, points } = dependencies;
  const remembered = new Map<string, { until: number; endsAt: number }>();

  const recall = ({ name, key }: Point): Exhausted | undefined => {
    const known = remembered.get(key);
    if (!known || known.until <= now()) {
      remembered.delete(key);
      return undefined;
    }
    return { ok: false, name, waitMs: known.endsAt - now() };
  };
  const remember = ({ key, endsAt }: Taken) => {
    if (remembered.size >= maxRemembered) {
      remembered.delete(remembered.keys().next().value!);
    }
    remembered.set(key, { until: Math.min(endsAt, now() + memoryMs), endsAt });
  };

  return async ({ tenant_id, account, ip }) => {
    const address = addressKey(ip);
    const wanted: Point[] = [
      { name: 'sign_in', key: await hash('sign_in', `${tenant_id}\n${address}\n${accountKey(account)}`) },
      { name: 'sign_in_address', key: await hash('sign_in_address', address) },
    ];
    const recalled = wanted.map(recall).find((known) => known !== undefined);
    if (recalled) {
      return recalled;
    }
    const taken: Taken[] = [];
    // One after the other, so that a flood on one account does not crowd out the others of its address.
    for (const point of wanted) {
      const latest = await take(dependencies, point).catch(async (error) => {
        await giveBack(dependencies, taken);
        throw error;
      });
      taken.push(latest);
      if (latest.consumed > points[latest.name]) {
        remember(latest);
        await giveBack(dependencies, taken);
        return { ok: false, name: latest.name, waitMs: latest.endsAt - now() };
      }
    }
    const [ofAccount, ofAddress] = taken as [Taken, Taken];
    let settled = false;
    const settle = async (work: () => Promise<unknown>) => {
      if (!settled) {
        settled = true;
        await work().catch(dependencies.onError);
      }
    };
    return {
      ok: true,
      succeeded: () =>
        settle(async () => {
          remembered.delete(ofAccount.key);
          await Promise.all([
            ofAccount.store.remove(ofAccount.name, ofAccount.key),
            giveBack(dependencies, [ofAddress]),
          ]);
        }),
      release: () => settle(() => giveBack(dependencies, taken)),
    };
  };
}

/** One spelling for one account, and a bounded one for what is none. */
function accountKey(account: string): string {
  return normaliseEmail(account) ?? account.slice(0, 320).trim().toLowerCase();
}

async function take({ stores, now }: SignInDependencies, { name, key }: Point): Promise<Taken> {
  let failure: unknown;
  for (const store of stores) {
    try {
      const { consumed, endsInMs } = await store.add(name, key, 1);
      return { name, key, store, consumed, endsAt: now() + endsInMs };
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** To the store that they came from. No count begins below nothing: not the next window's, nor one that a success has cleared. */
async function giveBack({ now, onError }: SignInDependencies, taken: readonly Taken[]): Promise<void> {
  const running = taken.filter(({ endsAt }) => now() < endsAt);
  await Promise.all(
    running.map(async ({ store, name, key }) => {
      const { consumed } = await store.add(name, key, -1);
      if (consumed < 0) {
        await store.remove(name, key);
      }
    }),
  ).catch(onError);
}
