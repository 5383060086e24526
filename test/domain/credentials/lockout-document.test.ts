import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { mostKnownDevices } from '#src/domain/credentials/known-devices.ts';
import { lockoutPolicy } from '#src/domain/credentials/lockout-policy.ts';

const document = readFileSync(new URL('../../../docs/lockout.md', import.meta.url), 'utf8');

test('the document says the numbers of the policy, and no others [6.1.1]', () => {
  const { free, stop, waits } = lockoutPolicy;
  const rows = [...document.matchAll(/^\| (\d[\d to]*) \| (.+) \|$/gm)].map(([, failures, then]) => [
    failures,
    /(\d+) seconds/.exec(then!)?.[1] ?? then!.split(':')[0],
  ]);
  const last = waits.length - 1;
  expect(rows).toEqual([
    [`1 to ${free - 1}`, 'nothing'],
    ...waits.slice(0, last).map((wait, index) => [String(free + index), String(wait)]),
    [`${free + last} to ${stop - 1}`, String(waits[last])],
    [String(stop), 'the hard stop'],
  ]);
  expect(document).toContain(`has ${mostKnownDevices} known devices at most`);
  expect(document).toContain(`${stop} failures in a row`);
  const days = ((stop - free - last) * waits[last]!) / 86_400;
  expect(days).toBeGreaterThan(3.5);
  expect(days).toBeLessThan(4);
});
