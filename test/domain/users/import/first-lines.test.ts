import { expect, test } from '@jest/globals';
import { makeFirstLines } from '#src/domain/users/import/first-lines.ts';

test('knows the first line of each of 50,000 addresses, through every growth', () => {
  const firstLines = makeFirstLines();
  const addresses = Array.from({ length: 50_000 }, (_, index) => `user${index}@example.test`);
  const first = addresses.map((email, index) => firstLines.note(email, index + 1));
  expect(first.every((line) => line === undefined)).toBe(true);
  const second = addresses.map((email) => firstLines.note(email, 99_999));
  expect(second.every((line, index) => line === index + 1)).toBe(true);
});
