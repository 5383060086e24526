import { expect, test } from '@jest/globals';
import { makeBatchedCounts } from '#src/lib/batched-counts.ts';

const windows = { calls: { points: 100, seconds: 60 }, guesses: { points: 3, seconds: 60 } };

/** Two nodes on one store, whose clock and whose store's health the test decides. */
function makeStage({ maxKeys = 1_000 }: { maxKeys?: number } = {}) {
  const stage = {
    now: 0,
    away: false,
    messages: [] as [string, number][],
    errors: [] as unknown[],
    hold: undefined as Promise<void> | undefined,
  };
  const stored = new Map<string, { consumed: number; endsAt: number }>();
  const makeNode = () =>
    makeBatchedCounts(windows, {
      async add(name, key, points) {
        stage.messages.push([`${name} ${key}`, points]);
        await stage.hold;
        if (stage.away) {
          throw new Error('away');
        }
        const id = `${name} ${key}`;
        const known = stored.get(id);
        const row =
          known && known.endsAt > stage.now
            ? known
            : { consumed: 0, endsAt: stage.now + windows[name].seconds * 1_000 };
        row.consumed += points;
        stored.set(id, row);
        return { consumed: row.consumed, endsInMs: row.endsAt - stage.now };
      },
      onError: (error) => stage.errors.push(error),
      parallel: 2,
      now: () => stage.now,
      // The tests flush by hand.
      intervalMs: 2 ** 30,
      maxKeys,
    });
  return { stage, nodes: [makeNode(), makeNode()] as const };
}

const takeMany = (take: () => number | undefined, times: number) =>
  Array.from({ length: times }, take).filter((wait) => wait === undefined).length;

test('lets a budget pass and no more, and says when it counts anew', () => {
  const { stage, nodes } = makeStage();
  expect(takeMany(() => nodes[0].take('guesses', 'a'), 10)).toBe(3);
  stage.now = 59_000;
  expect(nodes[0].take('guesses', 'a')).toBe(1_000);
  expect(nodes[0].take('guesses', 'b')).toBeUndefined();
  stage.now = 60_000;
  expect(takeMany(() => nodes[0].take('guesses', 'a'), 10)).toBe(3);
});

test('shares what was counted, one message for a key however often it was asked', async () => {
  const { stage, nodes } = makeStage();
  expect(takeMany(() => nodes[0].take('calls', 'a'), 70)).toBe(70);
  expect(takeMany(() => nodes[1].take('calls', 'a'), 20)).toBe(20);
  await nodes[0].flush();
  await nodes[1].flush();
  expect(stage.messages).toEqual([
    ['calls a', 70],
    ['calls a', 20],
  ]);
  expect(takeMany(() => nodes[1].take('calls', 'a'), 20)).toBe(10);
});

test('keeps to itself what is less than two in a hundred of the budget', async () => {
  const { stage, nodes } = makeStage();
  nodes[0].take('calls', 'a');
  await nodes[0].flush();
  expect(stage.messages).toEqual([]);
  nodes[0].take('calls', 'a');
  await nodes[0].flush();
  expect(stage.messages).toEqual([['calls a', 2]]);
});

test('takes the window of the store for its own', async () => {
  const { stage, nodes } = makeStage();
  nodes[0].take('guesses', 'a');
  await nodes[0].flush();
  stage.now = 30_000;
  takeMany(() => nodes[1].take('guesses', 'a'), 2);
  await nodes[1].flush();
  expect(nodes[1].take('guesses', 'a')).toBe(30_000);
});

test('refuses nothing that was only checked, and counts what is counted though it be too much', () => {
  const { nodes } = makeStage();
  expect(Array.from({ length: 9 }, () => nodes[0].check('guesses', 'a'))).toEqual(Array(9).fill(undefined));
  for (let i = 0; i < 5; i += 1) {
    nodes[0].count('guesses', 'a');
  }
  expect(nodes[0].check('guesses', 'a')).toBe(60_000);
});

test('limits by itself while the store is away, and sends all of it when that is back [F-05]', async () => {
  const { stage, nodes } = makeStage();
  stage.away = true;
  expect(takeMany(() => nodes[0].take('calls', 'a'), 60)).toBe(60);
  await nodes[0].flush();
  expect(takeMany(() => nodes[0].take('calls', 'a'), 60)).toBe(40);
  await nodes[0].flush();
  expect(stage.errors).toHaveLength(2);
  expect(nodes[0].take('calls', 'a')).toBe(60_000);
  stage.away = false;
  await nodes[0].flush();
  expect(stage.messages.at(-1)).toEqual(['calls a', 100]);
  nodes[1].take('calls', 'a');
  nodes[1].take('calls', 'a');
  await nodes[1].flush();
  expect(nodes[1].take('calls', 'a')).toBe(60_000);
});

test('asks a store that is away once in a round, however many keys wait', async () => {
  const { stage, nodes } = makeStage();
  stage.away = true;
  for (let i = 0; i < 50; i += 1) {
    nodes[0].take('guesses', String(i));
  }
  await nodes[0].flush();
  // As many as go at once.
  expect(stage.messages).toHaveLength(2);
  stage.away = false;
  await nodes[0].flush();
  expect(stage.messages).toHaveLength(52);
});

test('counts on while a message is on its way, and loses nothing of it', async () => {
  const { stage, nodes } = makeStage();
  const held = Promise.withResolvers<void>();
  stage.hold = held.promise;
  takeMany(() => nodes[0].take('calls', 'a'), 50);
  const flushed = nodes[0].flush();
  expect(takeMany(() => nodes[0].take('calls', 'a'), 60)).toBe(50);
  held.resolve();
  await flushed;
  await nodes[0].flush();
  expect(stage.messages).toEqual([
    ['calls a', 50],
    ['calls a', 50],
  ]);
});

test('does not carry a count into the next window', async () => {
  const { stage, nodes } = makeStage();
  const held = Promise.withResolvers<void>();
  stage.hold = held.promise;
  takeMany(() => nodes[0].take('guesses', 'a'), 3);
  const flushed = nodes[0].flush();
  stage.now = 60_000;
  expect(nodes[0].take('guesses', 'a')).toBeUndefined();
  held.resolve();
  await flushed;
  expect(takeMany(() => nodes[0].take('guesses', 'a'), 5)).toBe(2);
});

test('knows a bounded number of keys, and forgets the one that was not asked about for longest', () => {
  const { nodes } = makeStage({ maxKeys: 2 });
  takeMany(() => nodes[0].take('guesses', 'a'), 3);
  takeMany(() => nodes[0].take('guesses', 'b'), 3);
  expect(nodes[0].check('guesses', 'a')).toBe(60_000);
  nodes[0].take('guesses', 'c');
  expect(nodes[0].check('guesses', 'a')).toBe(60_000);
  expect(nodes[0].check('guesses', 'b')).toBeUndefined();
});

test('sends what is due when it closes', async () => {
  const { stage, nodes } = makeStage();
  takeMany(() => nodes[0].take('calls', 'a'), 5);
  await nodes[0].close();
  expect(stage.messages).toEqual([['calls a', 5]]);
});
