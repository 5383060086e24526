import { describe, expect, test } from '@jest/globals';
import { describeUserAgent } from '#src/lib/user-agent.ts';

const webkit = 'AppleWebKit/537.36 (KHTML, like Gecko)';

describe('a device is named by its browser and system, without versions', () => {
  test.each([
    [
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/131.0.0.0 Safari/537.36`,
      'Chrome',
      'Windows',
      'desktop',
    ],
    [
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0`,
      'Microsoft Edge',
      'Windows',
      'desktop',
    ],
    [
      `Mozilla/5.0 (Linux; Android 10; K) ${webkit} Chrome/131.0.0.0 Mobile Safari/537.36`,
      'Chrome',
      'Android',
      'phone',
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 'Firefox', 'Linux', 'desktop'],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15',
      'Safari',
      'macOS',
      'desktop',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1',
      'Safari',
      'iOS',
      'phone',
    ],
    [
      'Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1',
      'Safari',
      'iOS',
      'tablet',
    ],
  ])('%s', (text, browser, os, kind) => {
    expect(describeUserAgent(text)).toEqual({ browser, os, kind });
  });
});

test.each([
  undefined,
  null,
  '',
  '   ',
  'node',
  'curl/8.5.0',
  'constructor',
  '__proto__',
  'toString/1.0 ',
  '\u0000\ud800',
])('what names nothing is of an unknown kind: %j', (text) => {
  expect(describeUserAgent(text)).toEqual({ kind: 'unknown' });
});

describe('a text that somebody made up', () => {
  test.each([
    '<script>alert(1)</script>/1.0 (x) ',
    '\u202eevil/1.0 ',
    'Br\r\nSet-Cookie: x=1/1 (x',
    `${'x'.repeat(400)}/1.0 (x) `,
  ])('never becomes a name: %j', (text) => {
    expect(describeUserAgent(text)).toEqual({ kind: 'unknown' });
  });

  test.each([
    ['slashes and blanks', '/ '.repeat(1_000_000)],
    ['digits after a system', `Mozilla/5.0 (Macintosh; Intel Mac OS X ${'1'.repeat(1_000_000)}x`],
    ['underscores', `Mozilla/5.0 (iPhone; CPU OS ${'1_'.repeat(500_000)}`],
    ['a name again and again', 'Macintosh FxiOS '.repeat(100_000)],
    ['opened brackets', `Mozilla/5.0 ${'('.repeat(1_000_000)}`],
    ['versions', `Version/${'1.'.repeat(500_000)} Safari`],
    ['blanks', `Android${' '.repeat(1_000_000)}Mobile`],
  ])('is read only as far as real ones go: %s [A-205]', (_, text) => {
    expect(describeUserAgent(text)).toEqual(describeUserAgent(text.slice(0, 512)));
  });

  test('says nothing by what stands behind the bound [A-205]', () => {
    expect(describeUserAgent(`${'x'.repeat(512)} Firefox/128.0`)).toEqual({ kind: 'unknown' });
  });
});
