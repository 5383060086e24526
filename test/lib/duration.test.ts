import { expect, test } from '@jest/globals';
import { DurationError, parseDuration } from '#src/lib/duration.ts';

test.each([
  ['PT30M', 1_800],
  ['PT8H', 28_800],
  ['P1D', 86_400],
  ['P1DT12H', 129_600],
  ['P2DT3H4M5S', 183_845],
  ['PT90M', 5_400],
  ['PT0S', 0],
])('reads %s as %d seconds [ISO 8601]', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each([
  ...['', 'P', 'PT', 'P1DT', '30', '30m', 'PT30', 'P30M', 'PT1D', 'PT5M1H', 'P1W', 'P1M', 'P1Y', 'PT1.5H'],
  ...['-PT5M', 'PT-5M', 'pt5m', ' PT5M', 'PT5M\n', 'PT٣M', `PT${'9'.repeat(20)}S`, 'PT5MPT5M'],
])('refuses %j', (text) => {
  expect(() => parseDuration(text)).toThrow(DurationError);
});

test('says what was given and what would do', () => {
  expect(() => parseDuration('30m')).toThrow(/"30m" is not a duration.*PT30M/);
});
