import { expect, test } from '@jest/globals';
import { HashingBusyError, makeHashingQueue } from '#src/lib/hashing-queue.ts';

/** A clock that moves only when told, and jobs that end only when told. */
const makeStage = (options: { concurrency: number; maxWaiting: number; maxWaitMs: number }) => {
  const timers = new Map<object, { at: number; callback: () => void }>();
  let now = 0;
  const queue = makeHashingQueue({
    ...options,
    clock: () => now,
    startTimer: (ms, callback) => {
      const key = {};
      timers.set(key, { at: now + ms, callback });
      return () => void timers.delete(key);
    },
  });
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    queue,
    timers,
    started,
    add: (name: string) =>
      queue.run(() => {
        started.push(name);
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
      }, name),
    end: (name: string) => ends.get(name)!(),
    advance: (ms: number) => {
      now += ms;
      for (const [key, { at, callback }] of timers) {
        if (at <= now && timers.delete(key)) callback();
      }
    },
  };
};

test('runs as many jobs as it may at once and the rest in the order they came', async () => {
  const { queue, add, end, started } = makeStage({ concurrency: 2, maxWaiting: 9, maxWaitMs: 1_000 });
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(add);
  expect(started).toEqual(['a', 'b']);
  expect(queue.depth()).toBe(2);

  end('b');
  expect(await b).toBe('b');
  await Promise.resolve();
  expect(started).toEqual(['a', 'b', 'c']);
  end('c');
  expect(await c).toBe('c');
  await Promise.resolve();
  expect(started).toEqual(['a', 'b', 'c', 'd']);
  expect(queue.depth()).toBe(0);

  end('a');
  end('d');
  expect(await Promise.all([a, d])).toEqual(['a', 'd']);
});

test('never runs more than it may, however turns are passed', async () => {
  const queue = makeHashingQueue({ concurrency: 3, maxWaiting: 200, maxWaitMs: 60_000 });
  let running = 0;
  let most = 0;
  const job = async () => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running -= 1;
  };
  await Promise.all(Array.from({ length: 100 }, () => queue.run(job).then(() => queue.run(job))));
  expect(most).toBe(3);
  expect(queue.depth()).toBe(0);
});

test('refuses a job when the queue is full, with the time after which to retry', async () => {
  const { add, end, queue, started } = makeStage({ concurrency: 1, maxWaiting: 1, maxWaitMs: 2_500 });
  const a = add('a');
  const b = add('b');
  const refusal = await add('c').catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(HashingBusyError);
  expect((refusal as HashingBusyError).retryAfterSeconds).toBe(3);

  end('a');
  await a;
  await Promise.resolve();
  end('b');
  expect(await b).toBe('b');
  expect(started).toEqual(['a', 'b']);
  expect(queue.depth()).toBe(0);
});

test('refuses a job that has waited too long and never runs it', async () => {
  const { add, advance, end, queue, started, timers } = makeStage({
    concurrency: 1,
    maxWaiting: 5,
    maxWaitMs: 100,
  });
  const a = add('a');
  const late = add('late').catch((error: unknown) => error);
  advance(60);
  const patient = add('patient');
  advance(39);
  expect(queue.depth()).toBe(2);
  advance(1);
  expect(await late).toMatchObject({ name: 'HashingBusyError', retryAfterSeconds: 1 });
  expect(queue.depth()).toBe(1);

  end('a');
  await a;
  await Promise.resolve();
  expect(started).toEqual(['a', 'patient']);
  expect(timers.size).toBe(0);
  advance(1_000);
  end('patient');
  expect(await patient).toBe('patient');
});

test('gives the failure of a job to its caller and the turn to the next', async () => {
  const { queue } = makeStage({ concurrency: 1, maxWaiting: 5, maxWaitMs: 100 });
  const failure = new Error('no');
  const rejected = queue.run(() => Promise.reject(failure)).catch((error: unknown) => error);
  const thrown = queue
    .run(() => {
      throw failure;
    })
    .catch((error: unknown) => error);
  expect(await rejected).toBe(failure);
  expect(await thrown).toBe(failure);
  expect(await queue.run(async () => 'fine')).toBe('fine');
});

test('frees nothing when a refused job ends early: the limit holds afterwards', async () => {
  const { add, queue, started } = makeStage({ concurrency: 1, maxWaiting: 0, maxWaitMs: 100 });
  void add('a');
  await expect(add('b')).rejects.toThrow(HashingBusyError);
  await expect(add('c')).rejects.toThrow(HashingBusyError);
  expect(started).toEqual(['a']);
  expect(queue.depth()).toBe(0);
});

test('tells of each job how long it waited and ran, and of each refusal', async () => {
  const { add, advance, end, queue } = makeStage({ concurrency: 1, maxWaiting: 2, maxWaitMs: 100 });
  const reports: unknown[] = [];
  queue.onJob((report) => reports.push(report));
  const a = add('a');
  advance(10);
  const b = add('b');
  const late = add('late').catch(() => {});
  const tooMany = add('too many').catch(() => {});
  expect([queue.running(), queue.depth()]).toEqual([1, 2]);

  advance(30);
  end('a');
  await a;
  advance(70);
  end('b');
  await Promise.all([b, late, tooMany]);
  expect(reports).toEqual([
    { operation: 'too many', waitMs: 0, runMs: undefined },
    { operation: 'a', waitMs: 0, runMs: 40 },
    { operation: 'late', waitMs: 100, runMs: undefined },
    { operation: 'b', waitMs: 30, runMs: 70 },
  ]);
  expect([queue.running(), queue.depth()]).toEqual([0, 0]);
});
