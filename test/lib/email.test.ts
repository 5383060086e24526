import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { normaliseEmail } from '#src/lib/email.ts';

describe('gives one spelling [A-100, I-06]', () => {
  test.each([
    ['Alice@Example.COM', 'alice@example.com'],
    ['  alice@example.com ', 'alice@example.com'],
    ['a.b+tag@mail.example.co.uk', 'a.b+tag@mail.example.co.uk'],
    ["o'neil_{x}@example.com", "o'neil_{x}@example.com"],
    ['用户@例子.测试', '用户@xn--fsqu00a.xn--0zwm56d'],
    ['a@BÜCHER.example', 'a@xn--bcher-kva.example'],
    ['a@XN--bcher-kva.example', 'a@xn--bcher-kva.example'],
    ['ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ', 'alice@example.com'],
    ['e\u0301@example.com', 'é@example.com'],
    ['J\u030c@example.com', '\u01f0@example.com'],
    [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
  ])('%j', (input, expected) => {
    expect(normaliseEmail(input)).toBe(expected);
  });
});

describe('refuses what is not one plain address [A-100, I-06]', () => {
  test.each([
    ...['', '@', 'alice', 'alice@', '@example.com', 'a@b@example.com', 'a@example.com,b@example.com'],
    ...[
      '"a b"@example.com',
      '"a"@example.com',
      'a(comment)@example.com',
      'A <a@example.com>',
      'a b@example.com',
    ],
    ...[
      '.a@example.com',
      'a.@example.com',
      'a..b@example.com',
      'a@.example.com',
      'a@example..com',
      'a@example.com.',
    ],
    ...['a@localhost', 'a@[127.0.0.1]', 'a@[IPv6:::1]', 'a@127.0.0.1', 'a@0x7f.1', 'a@example.1', 'a@1.0x1'],
    ...[
      'a@ex%61mple.com',
      'a@example.com/x',
      'a@example.com:25',
      'a@example.com?x',
      'a@example.com#x',
      'a@b\\.com',
    ],
    ...['a@-example.com', 'a@example-.com', 'a@exa_mple.com', 'a@xn--a.com\u200b', `a@${'b'.repeat(64)}.com`],
    ...['a@example.com\r\nBcc: b@example.com', 'a@example.com\n', 'a\0@example.com', 'a\t@example.com'],
    ...[
      '\u202ea@example.com',
      'a\u200f@example.com',
      'a@exam\u200dple.com',
      'a\u00ad@example.com',
      '\ufeffa@example.com',
    ],
    ...['a\u00a0b@example.com', 'a\u00a8@example.com', 'a\u{e0041}@example.com', 'a\ud800@example.com'],
  ])('%j', (input) => {
    expect(normaliseEmail(input)).toBeUndefined();
  });

  test('a local part over 64 bytes and an address over 254 [RFC 5321 4.5.3.1]', () => {
    const label = 'b'.repeat(61);
    const domain = [label, label, label].join('.');
    const longest = `${'a'.repeat(64)}@${domain}.cc`;
    expect(longest).toHaveLength(64 + 1 + 185 + 3);
    expect(normaliseEmail(`${longest}c`)).toHaveLength(254);
    expect(normaliseEmail(`${longest}cc`)).toBeUndefined();
    expect(normaliseEmail(`${'a'.repeat(65)}@example.com`)).toBeUndefined();
    expect(normaliseEmail(`${'é'.repeat(33)}@example.com`)).toBeUndefined();
    expect(normaliseEmail(`${'a'.repeat(309)}@example.com`)).toBeUndefined();
    expect(normaliseEmail(`${'\ufdfa'.repeat(10_000)}@example.com`)).toBeUndefined();
  });
});

describe('letters that change case oddly [A-101, I-10]', () => {
  test('the Kelvin sign and the long s are k and s', () => {
    expect(normaliseEmail('mi\u212ae@example.com')).toBe('mike@example.com');
    expect(normaliseEmail('\u017fam@example.com')).toBe('sam@example.com');
    expect(normaliseEmail('a@\u212aelvin.com')).toBe('a@kelvin.com');
  });

  test('no Turkish i is the plain one, whatever the locale', () => {
    const plain = normaliseEmail('mike@example.com');
    expect(normaliseEmail('MIKE@example.com')).toBe(plain);
    for (const odd of [
      'm\u0131ke@example.com',
      'M\u0130KE@example.com',
      'mike@example.com'.replace('i', 'i\u0307'),
    ]) {
      expect(normaliseEmail(odd)).not.toBe(plain);
    }
    expect(normaliseEmail('a@g\u0131thub.com')).toBe('a@xn--gthub-n4a.com');
  });
});

test('changes nothing when applied twice, and gives only what a header can hold', () => {
  const part = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(part, part, (local, label) => {
      const once = normaliseEmail(`${local}@${label}.com`);
      if (once === undefined) return;
      expect(normaliseEmail(once)).toBe(once);
      expect(once).toMatch(/^[^\s\p{C}@<>",;:()]+@[a-z0-9.-]+$/u);
    }),
    { numRuns: 1_000 },
  );
});

test('changes nothing when applied twice, for every single letter', () => {
  const changed: string[] = [];
  for (let point = 0x20; point < 0x1_0000; point++) {
    const once = normaliseEmail(`a${String.fromCharCode(point)}b@example.com`);
    if (once !== undefined && normaliseEmail(once) !== once) changed.push(point.toString(16));
  }
  expect(changed).toEqual([]);
});
