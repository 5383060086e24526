/** Thrown when a job cannot run soon; answer 503 with `Retry-After: retryAfterSeconds`. */
export class HashingBusyError extends Error {
  override readonly name = 'HashingBusyError';
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super('too many passwords are being checked');
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** What became of a job. Times are in milliseconds; `runMs` is undefined when the job was refused and never ran. */
export interface HashingReport {
  operation: string;
  waitMs: number;
  runMs: number | undefined;
}

/** What there is to see of a queue from outside. */
export interface HashingLoad {
  /** How many jobs wait; those running are not counted. */
  depth(): number;
  running(): number;
  /** Calls the listener once for each job from now on, when it has ended or was refused. */
  onJob(listener: (report: HashingReport) => void): void;
}

export interface HashingQueue extends HashingLoad {
  /** Runs the job when its turn comes and gives its outcome; rejects with HashingBusyError if it cannot. */
  run<T>(job: () => Promise<T>, operation?: string): Promise<T>;
}

/** Calls `callback` once after `ms` milliseconds, unless the function that it gives is called before. */
export type StartTimer = (ms: number, callback: () => void) => () => void;

/**
 * Makes a first-in, first-out queue for work that holds a processor for long, as password hashing does, so
 * that a flood of sign-ins cannot take every thread and all memory: at most `concurrency` jobs run and
 * `maxWaiting` wait, none longer than `maxWaitMs`. Time comes from `startTimer` and `clock`, which tests replace.
 */
export function makeHashingQueue(options: {
  concurrency: number;
  maxWaiting: number;
  maxWaitMs: number;
  startTimer?: StartTimer;
  clock?: () => number;
}): HashingQueue {
  const { concurrency, maxWaiting, maxWaitMs, startTimer = startNodeTimer } = options;
  const { clock = () => performance.now() } = options;
  const waiting = new Set<() => void>();
  const listeners: ((report: HashingReport) => void)[] = [];
  let running = 0;

  const busy = () => new HashingBusyError(Math.max(1, Math.ceil(maxWaitMs / 1_000)));

  const waitForTurn = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const start = () => {
        stopTimer();
        waiting.delete(start);
        resolve();
      };
      const stopTimer = startTimer(maxWaitMs, () => {
        waiting.delete(start);
        reject(busy());
      });
      waiting.add(start);
    });

  const passTurn = () => {
    const [next] = waiting;
    if (next) next();
    else running -= 1;
  };

  return {
    async run(job, operation = 'job') {
      const askedAt = clock();
      let startedAt: number | undefined;
      try {
        if (running < concurrency) running += 1;
        else if (waiting.size < maxWaiting) await waitForTurn();
        else throw busy();
        startedAt = clock();
        try {
          return await job();
        } finally {
          passTurn();
        }
      } finally {
        const endedAt = clock();
        const report = {
          operation,
          waitMs: (startedAt ?? endedAt) - askedAt,
          runMs: startedAt === undefined ? undefined : endedAt - startedAt,
        };
        for (const listener of listeners) listener(report);
      }
    },
    depth: () => waiting.size,
    running: () => running,
    onJob: (listener) => void listeners.push(listener),
  };
}

const startNodeTimer: StartTimer = (ms, callback) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};
