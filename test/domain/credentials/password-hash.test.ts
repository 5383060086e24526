import { describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import {
  dummyHash,
  findHashFlaw,
  findPasswordFlaw,
  hashPassword,
  needsRehash,
  verifyPassword,
} from '#src/domain/credentials/password-hash.ts';

const password = 'correct horse battery';

test('hashes with argon2id, 19 MiB, two passes and one lane [NIST SP 800-63B-4 3.1.1.2]', async () => {
  const stored = await hashPassword(password);
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await verifyPassword(password, stored)).toBe('right');
  expect(await verifyPassword(`${password} `, stored)).toBe('wrong');
  expect(needsRehash(stored)).toBe(false);
});

test('takes the composed and the decomposed spelling for the same password [N-04, A-105]', async () => {
  const stored = await hashPassword('caf\u00e9 caf\u00e9 caf\u00e9 1');
  expect(await verifyPassword('cafe\u0301 cafe\u0301 cafe\u0301 1', stored)).toBe('right');
});

test('verifies bcrypt hashes of all three prefixes and wants them hashed anew [H-03]', async () => {
  const stored = await bcrypt.hash(password, 10);
  for (const prefix of ['$2a$', '$2b$', '$2y$']) {
    const imported = prefix + stored.slice(4);
    expect(await verifyPassword(password, imported)).toBe('right');
    expect(needsRehash(imported)).toBe(true);
  }
});

test('tells apart 73 bytes against bcrypt of which the first 72 are right [N-08, A-085, H-02]', async () => {
  const right = 'x'.repeat(72);
  const stored = await bcrypt.hash(right, 10);
  expect(await verifyPassword(right, stored)).toBe('right');
  expect(await verifyPassword(`${right}y`, stored)).toBe('cut');
  expect(await verifyPassword(`y${right}`, stored)).toBe('wrong');
  const twoByteLetters = 'é'.repeat(36);
  expect(await verifyPassword(`${twoByteLetters}x`, await bcrypt.hash(twoByteLetters, 10))).toBe('cut');
});

test('verifies argon2id strings that write p before t', async () => {
  const stored = (await hashPassword(password)).replace('t=2,p=1', 'p=1,t=2');
  expect(await verifyPassword(password, stored)).toBe('right');
});

describe('the bounds of a password [N-01, N-02, N-03, A-082]', () => {
  test.each([
    ['14 code points', 'a'.repeat(14), 'too_short'],
    ['14 emoji, which are 28 UTF-16 units', '🦊'.repeat(14), 'too_short'],
    ['257 code points', 'a'.repeat(257), 'too_long'],
    ['257 emoji, which are 1,028 bytes', '🦊'.repeat(257), 'too_long'],
    ['a megabyte', 'a'.repeat(1_000_000), 'too_long'],
    ['an unpaired surrogate', `${'a'.repeat(20)}\ud800`, 'malformed'],
  ])('refuses %s and says why', (_, text, reason) => {
    expect(findPasswordFlaw(text, 15)).toBe(reason);
  });

  test.each([
    ['15 code points', 'a'.repeat(15)],
    ['15 emoji', '🦊'.repeat(15)],
    ['spaces and letters', 'a b c d e f g h'],
    ['64 digits', '7'.repeat(64)],
    ['256 code points of 4 bytes each', '🦊'.repeat(256)],
  ])('takes %s', (_, text) => {
    expect(findPasswordFlaw(text, 15)).toBeUndefined();
  });

  test('neither hashes nor verifies what is out of bounds', async () => {
    const tooLong = 'a'.repeat(257);
    await expect(hashPassword(tooLong)).rejects.toThrow('longer than 256 characters');
    await expect(hashPassword('\udc00'.repeat(20))).rejects.toThrow('unpaired surrogate');
    expect(await verifyPassword(tooLong, dummyHash)).toBe('wrong');
  });
});

test.each([
  ['$2x$', `$2x$10$${'a'.repeat(53)}`],
  ['bcrypt of cost 31', `$2a$31$${'a'.repeat(53)}`],
  ['bcrypt of cost 9', `$2a$09$${'a'.repeat(53)}`],
  ['a truncated bcrypt hash', `$2b$10$${'a'.repeat(40)}`],
  ['argon2i', '$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA'],
  ['argon2id of 4 GiB', '$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA'],
  ['argon2id of 11 passes', '$argon2id$v=19$m=19456,t=11,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA'],
  ['argon2id of 17 lanes', '$argon2id$v=19$m=19456,t=2,p=17$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA'],
  ['a truncated argon2id hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0'],
  ['an argon2id hash of 4 bytes', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaA'],
  ['an empty string', ''],
  ['plain text', password],
])('refuses %s as a stored hash, and no password matches it [A-086]', async (_, stored) => {
  expect(findHashFlaw(stored)).toEqual(expect.any(String));
  expect(await verifyPassword(password, stored)).toBe('wrong');
});

test('has a dummy of the cost of a real hash that no password matches [A-090]', async () => {
  expect(findHashFlaw(dummyHash)).toBeUndefined();
  expect(needsRehash(dummyHash)).toBe(false);
  expect(await verifyPassword(password, dummyHash)).toBe('wrong');
  expect(dummyHash).toHaveLength((await hashPassword(password)).length);
});
