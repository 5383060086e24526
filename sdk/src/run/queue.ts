/** Runs one thing at a time, in the order of the calls. */
export interface Queue {
  run<T>(task: () => Promise<T>): Promise<T>;
}

/** A queue of its own for each connection: drivers want one statement at a time, and COMMIT behind all of them. */
export function makeQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    run<T>(task: () => Promise<T>): Promise<T> {
      // Without anything before it a statement leaves at once, in this very turn.
      const result = waiting === 0 ? task() : last.then(task, task);
      waiting += 1;
      const done = () => {
        waiting -= 1;
      };
      last = result.then(done, done);
      return result;
    },
  };
}

/** For connections that take statements while others are under way, and answer in order. */
export const unqueued: Queue = { run: (task) => task() };
