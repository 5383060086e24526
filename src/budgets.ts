/** How often something may be done: `points` times within `seconds`, counted apart for each value of `per`. */
export interface Budget {
  readonly points: number;
  readonly seconds: number;
  /** What is counted apart. An address is an IPv4 address or the /64 of an IPv6 address. */
  readonly per: string;
  /** What takes a point. */
  readonly counts: string;
}

/**
 * Counted before the work, in the shared store, to the last one: whoever takes the sixth of five is refused, however many ask
 * at once on however many nodes.
 */
export const exactBudgets = {
  sign_in: {
    points: 5,
    seconds: 900,
    per: 'tenant, account and address',
    counts: 'a wrong password; a right one clears the count',
  },
  sign_in_address: {
    points: 100,
    seconds: 900,
    per: 'address',
    counts: 'a wrong password, whatever the account',
  },
} as const satisfies Record<string, Budget>;

/** Counted in the process and gathered in the shared store four times a second: no request waits for a store. */
export const batchedBudgets = {
  password_check: {
    points: 120,
    seconds: 60,
    per: 'address',
    counts: 'a password judged while it is typed',
  },
  pages: {
    points: 3_000,
    seconds: 60,
    per: 'address',
    counts: 'an authorization request, a hosted page, and any path that no other budget has',
  },
  token_address: { points: 6_000, seconds: 60, per: 'address', counts: 'a request at the token endpoint' },
  token_client: { points: 6_000, seconds: 60, per: 'client', counts: 'tokens given' },
  token_tenant: {
    points: 30_000,
    seconds: 60,
    per: 'tenant',
    counts: 'tokens given to the clients of the tenant',
  },
  par_address: { points: 3_000, seconds: 60, per: 'address', counts: 'a pushed authorization request' },
  par_client: {
    points: 3_000,
    seconds: 60,
    per: 'confidential client',
    counts: 'a pushed authorization request taken',
  },
  calls: {
    points: 30_000,
    seconds: 60,
    per: 'address',
    counts: 'a request at userinfo, introspection or revocation',
  },
  recovery: { points: 30, seconds: 900, per: 'address', counts: 'a request below /recover' },
  registration: { points: 60, seconds: 3_600, per: 'address', counts: 'a request below /register' },
  api: { points: 1_200, seconds: 60, per: 'address', counts: 'a request below /api' },
} as const satisfies Record<string, Budget>;

export const budgets: Record<BudgetName, Budget> = { ...exactBudgets, ...batchedBudgets };

export type ExactName = keyof typeof exactBudgets;
export type BatchedName = keyof typeof batchedBudgets;
export type BudgetName = ExactName | BatchedName;

/** What an operator sets in place of a default. */
export type BudgetChanges = Readonly<Partial<Record<BudgetName, { points: number; seconds: number }>>>;

const units: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const maxPoints = 1_000_000_000;
const maxSeconds = 30 * 86_400;

/**
 * Reads `sign_in=5/15m,token_client=600/1m`: a name of the table, how often, and within how long (s, m, h or d). Gives the changes,
 * or in one sentence what is wrong with the first entry that cannot be taken.
 */
export function parseBudgetChanges(text: string): BudgetChanges | { problem: string } {
  const changes: Record<string, { points: number; seconds: number }> = {};
  for (const entry of text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)) {
    const [, name = '', given, count, unit = ''] = /^(\w+)=(\d{1,10})\/(\d{1,7})([smhd])$/.exec(entry) ?? [];
    if (given === undefined) {
      return { problem: `${entry} is not name=times/duration, such as sign_in=5/15m` };
    }
    if (!Object.hasOwn(budgets, name)) {
      return { problem: `${name} is not a limit there is (${Object.keys(budgets).join(', ')})` };
    }
    if (Object.hasOwn(changes, name)) {
      return { problem: `${name} is given twice` };
    }
    const points = Number(given);
    const seconds = Number(count) * units[unit]!;
    if (points < 1 || points > maxPoints || seconds < 1 || seconds > maxSeconds) {
      return { problem: `${entry} must be 1 to ${maxPoints} times within one second to 30 days` };
    }
    changes[name] = { points, seconds };
  }
  return changes;
}
