import { LRUCache } from 'lru-cache';

/** So many times within so many seconds. */
export interface Window {
  readonly points: number;
  readonly seconds: number;
}

/** What the shared store says after it has added: how much is used by all, and for how long it counts. */
export interface SharedCount {
  consumed: number;
  endsInMs: number;
}

export interface BatchedCounts<Name extends string> {
  /** Counts one, unless the budget is used up: then gives the milliseconds until it counts anew. */
  take(name: Name, key: string): number | undefined;
  /** The milliseconds until the budget counts anew when it is used up, else undefined. Counts nothing. */
  check(name: Name, key: string): number | undefined;
  /** Counts one, though the budget be used up. */
  count(name: Name, key: string): void;
  /** Sends what is worth it. */
  flush(): Promise<void>;
  /** Sends it for the last time. */
  close(): Promise<void>;
}

interface Entry<Name> {
  name: Name;
  key: string;
  /** Used by all nodes, as last heard, with what is on its way there. */
  shared: number;
  /** Counted here and not sent. */
  unsent: number;
  endsAt: number;
}

/** What a node keeps to itself until it is worth a message: two in a hundred of a budget. */
const worthSending = 50;

/**
 * Counts in the process and gathers in a shared store: nothing here waits, and the store gets one addition per key and interval
 * however often a key is counted. All nodes together may exceed a budget by what each counts within an interval, and 2 % of it.
 * While the store is away each node holds to the budget by itself.
 *
 * At most `maxKeys` are known at once; the one that was not asked about for longest is forgotten, with what it had not sent.
 */
export function makeBatchedCounts<Name extends string>(
  windows: Readonly<Record<Name, Window>>,
  {
    add,
    onError,
    parallel,
    now = Date.now,
    intervalMs = 250,
    maxKeys = 100_000,
  }: {
    /** Adds to the shared count of this key. */
    add(name: Name, key: string, points: number): Promise<SharedCount>;
    onError(error: unknown): void;
    /** How many additions may be under way at once. */
    parallel: number;
    now?: () => number;
    intervalMs?: number;
    maxKeys?: number;
  },
): BatchedCounts<Name> {
  const entries = new LRUCache<string, Entry<Name>>({ max: maxKeys });
  let due = new Set<Entry<Name>>();
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  let closed = false;

  const find = (name: Name, key: string): Entry<Name> => {
    const id = `${name} ${key}`;
    const at = now();
    let entry = entries.get(id);
    if (!entry) {
      entry = { name, key, shared: 0, unsent: 0, endsAt: at + windows[name].seconds * 1_000 };
      entries.set(id, entry);
    } else if (at >= entry.endsAt) {
      entry.shared = 0;
      entry.unsent = 0;
      entry.endsAt = at + windows[name].seconds * 1_000;
    }
    return entry;
  };
  const wait = ({ name, shared, unsent, endsAt }: Entry<Name>): number | undefined =>
    shared + unsent >= windows[name].points ? endsAt - now() : undefined;
  const add1 = (entry: Entry<Name>) => {
    entry.unsent += 1;
    if (entry.unsent * worthSending >= windows[entry.name].points) {
      due.add(entry);
      schedule();
    }
  };
  const schedule = () => {
    if (timer === undefined && !closed) {
      timer = setTimeout(() => {
        timer = undefined;
        void flush();
      }, intervalMs);
      timer.unref();
    }
  };

  /** Gives whether the store is there. */
  const send = async (entry: Entry<Name>): Promise<boolean> => {
    const { unsent, endsAt } = entry;
    if (unsent === 0 || now() >= endsAt) {
      return true;
    }
    entry.unsent = 0;
    entry.shared += unsent;
    try {
      const { consumed, endsInMs } = await add(entry.name, entry.key, unsent);
      if (entry.endsAt === endsAt) {
        entry.shared = consumed;
        entry.endsAt = now() + endsInMs;
      }
      return true;
    } catch (error) {
      if (entry.endsAt === endsAt) {
        entry.shared -= unsent;
        entry.unsent += unsent;
        due.add(entry);
      }
      onError(error);
      return false;
    }
  };
  const flush = (): Promise<void> => {
    flushing ??= (async () => {
      const waiting = due.values();
      due = new Set();
      let answers = true;
      const sendInTurn = async () => {
        for (const entry of waiting) {
          if (answers) {
            answers = await send(entry);
          } else {
            due.add(entry);
          }
        }
      };
      await Promise.all(Array.from({ length: parallel }, sendInTurn));
    })().finally(() => {
      flushing = undefined;
      if (due.size > 0) {
        schedule();
      }
    });
    return flushing;
  };

  return {
    take(name, key) {
      const entry = find(name, key);
      const waitMs = wait(entry);
      if (waitMs === undefined) {
        add1(entry);
      }
      return waitMs;
    },
    check(name, key) {
      return wait(find(name, key));
    },
    count(name, key) {
      add1(find(name, key));
    },
    flush,
    async close() {
      closed = true;
      clearTimeout(timer);
      await flushing;
      await flush();
    },
  };
}
