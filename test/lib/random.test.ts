import { expect, test } from '@jest/globals';
import { randomPart } from '#src/lib/random.ts';

test('gives parts of the length asked for, over many fillings of the pool, and none of them twice', () => {
  const lengths = [9, 12, 16];
  const parts = Array.from({ length: 3_000 }, (_, index) => randomPart(lengths[index % 3]!));
  expect(parts.map(({ length }) => length)).toEqual(parts.map((_, index) => lengths[index % 3]));
  expect(new Set(parts.map((part) => part.toString('hex'))).size).toBe(parts.length);
});

test('a part given out does not change when more is asked for', () => {
  const part = randomPart(16);
  const before = part.toString('hex');
  for (let index = 0; index < 2_000; index++) {
    randomPart(16);
  }
  expect(part.toString('hex')).toBe(before);
});
