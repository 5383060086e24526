import { expect, test } from '@jest/globals';
import { isEncodedText } from '#src/lib/encoded-text.ts';

test.each(['', '/auth?state=100%25&x=%C3%A9', 'a=b+c&d=%F0%9F%94%91', '%EF%BF%BD', '/%2f%2e;x=1'])(
  '%j is text',
  (encoded) => {
    expect(isEncodedText(encoded)).toBe(true);
  },
);

test.each([
  '%00',
  'a%00b',
  '%',
  '100%',
  '%zz',
  '%ff',
  '%c0%80',
  '%ed%a0%80',
  '%f8%88%80%80%80',
  'é',
  '\u0000',
  '\n',
  '\u007f',
])('%j is none [A-213]', (encoded) => {
  expect(isEncodedText(encoded)).toBe(false);
});
