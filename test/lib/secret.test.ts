import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { makeSecret } from '#src/lib/secret.ts';

test('gives the value back on request only, however it is printed [16.2.5]', () => {
  const secret = makeSecret('hunter2');
  expect(secret.reveal()).toBe('hunter2');
  expect(`${secret}`).toBe('[secret]');
  expect(`a ${String(secret)}`).toBe('a [secret]');
  expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
  expect(inspect({ deep: { secret } }, { showHidden: true, depth: 9 })).not.toContain('hunter2');
  expect(inspect(secret)).toBe('[secret]');
});
