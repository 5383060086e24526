import { expect, test } from '@jest/globals';
import { hashingLanes, threadPoolSize } from '#src/lib/threads.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture } from '#test/support/fixture.ts';
import { startNode } from '#test/support/server.ts';

test.each([
  [1, 1],
  [2, 1],
  [3, 2],
  [64, 63],
])('%i cores hash %i passwords at once', (cores, lanes) => {
  expect(hashingLanes(cores)).toBe(lanes);
});

test.each([
  [undefined, 1, 5],
  ['1', 1, 5],
  ['16', 1, 16],
  ['nonsense', 7, 11],
])('a pool of %s threads becomes, beside %i lanes, one of %i', (given, lanes, size) => {
  expect(threadPoolSize(given, lanes)).toBe(size);
});

test.each([[undefined], ['1']])(
  'the server serves names, files and compression while all threads but one are held, UV_THREADPOOL_SIZE being %s [F-19, A-202]',
  async (given) => {
    const fixture = await createFixture();
    const node = await startNode(fixture, {
      env: {
        NODE_OPTIONS: '--import ./test/support/hold-threads.ts',
        HOLD_THREADS: String(threadPoolSize(undefined) - 1),
        ...(given ? { UV_THREADPOOL_SIZE: given } : {}),
      },
    });
    node.process.kill('SIGUSR2');
    await eventually(() => node.log.find(({ msg }) => msg === 'served with all lanes held'));
    expect(hashingLanes()).toBeLessThan(threadPoolSize(undefined));
    await node.stop();
    await fixture.drop();
  },
);
