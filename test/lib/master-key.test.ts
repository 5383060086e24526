import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { makeMasterKeyText, open, parseMasterKeys, SealError, seal } from '#src/lib/master-key.ts';

const keysOf = (...texts: string[]) => {
  const parsed = parseMasterKeys(texts.join(','));
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.keys;
};
const oldText = makeMasterKeyText('k1');
const newText = makeMasterKeyText('k2');
const keys = keysOf(oldText);
const place = { tenant_id: 't1', table: 'users', column: 'totp_seed', row: 'u1' };
const seed = Buffer.from('a seed to be read back');

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(SealError);
    expect(inspect(error)).not.toContain('seed to be');
    return (error as SealError).code;
  }
  return 'opened';
};

describe('sealing', () => {
  test('gives back what went in, the empty value and bytes included', () => {
    for (const value of [seed, Buffer.alloc(0), randomBytes(5_000), new Uint8Array([0, 255])]) {
      expect(open(keys, seal(keys, value, place), place).equals(value)).toBe(true);
    }
    expect(seal(keys, seed, place).includes(seed)).toBe(false);
  });

  test('reads bytes that lie within a larger buffer', () => {
    const sealed = seal(keys, seed, place);
    const around = new Uint8Array([9, 9, ...sealed, 9]);
    expect(open(keys, around.subarray(2, -1), place)).toEqual(seed);
  });

  test('lays out version, key id, nonce, tag and ciphertext', () => {
    const sealed = seal(keys, seed, place);
    expect(sealed.subarray(0, 4)).toEqual(Buffer.from([1, 2, 0x6b, 0x31]));
    expect(sealed).toHaveLength(4 + 12 + 16 + seed.length);
  });

  test.each(['tenant_id', 'table', 'column', 'row'] as const)('does not open under another %s', (name) => {
    const sealed = seal(keys, seed, place);
    expect(codeOf(() => open(keys, sealed, { ...place, [name]: 'x' }))).toBe('seal_broken');
  });

  test('does not open where the place only reads the same when run together', () => {
    const sealed = seal(keys, seed, { tenant_id: 'ab', table: 'c', column: '', row: 'd' });
    expect(codeOf(() => open(keys, sealed, { tenant_id: 'a', table: 'bc', column: '', row: 'd' }))).toBe(
      'seal_broken',
    );
    expect(codeOf(() => open(keys, sealed, { tenant_id: 'ab', table: '', column: 'c', row: 'd' }))).toBe(
      'seal_broken',
    );
  });

  test('does not open with any bit flipped or any byte cut off', () => {
    const sealed = seal(keys, seed, place);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(codeOf(() => open(keys, flipped, place))).toMatch(/seal_broken|unknown_master_key/);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(codeOf(() => open(keys, sealed.subarray(0, length), place))).toBe('seal_broken');
    }
  });

  test('seals with the newest key after a rotation and still opens with the old', () => {
    const before = seal(keys, seed, place);
    const rotated = keysOf(newText, oldText);
    const after = seal(rotated, seed, place);
    expect(open(rotated, before, place)).toEqual(seed);
    expect(open(rotated, after, place)).toEqual(seed);
    expect(codeOf(() => open(keys, after, place))).toBe('unknown_master_key');
    expect(codeOf(() => open(keysOf(newText), before, place))).toBe('unknown_master_key');
  });

  test('does not open with another key under the same id', () => {
    expect(codeOf(() => open(keysOf(makeMasterKeyText('k1')), seal(keys, seed, place), place))).toBe(
      'seal_broken',
    );
  });

  test('repeats no nonce in 10,000 seals', () => {
    const nonces = new Set<string>();
    for (let n = 0; n < 10_000; n++) nonces.add(seal(keys, seed, place).toString('hex', 4, 16));
    expect(nonces.size).toBe(10_000);
  });

  test('needs a key', () => {
    expect(() => seal([], seed, place)).toThrow('master key');
  });
});

describe('the list of keys', () => {
  const problemsOf = (text: string) => {
    const parsed = parseMasterKeys(text);
    return parsed.ok ? [] : parsed.problems;
  };
  const random = () => randomBytes(32).toString('base64');

  test('is parted by commas or line breaks, newest first', () => {
    expect(keysOf(newText, oldText).map((key) => key.id)).toEqual(['k2', 'k1']);
    expect(keysOf(`${newText}\n${oldText},`).map((key) => key.id)).toEqual(['k2', 'k1']);
  });

  test.each([
    ['', 'holds no key'],
    [' , ', 'holds no key'],
    [random(), 'key 1 needs an id'],
    [`:${random()}`, 'key 1 needs an id'],
    [`K1:${random()}`, 'key 1 needs an id'],
    [`${'k'.repeat(65)}:${random()}`, 'key 1 needs an id'],
    [`a:${random()},a:${random()}`, 'the id a is given twice'],
    ['a:!!!', 'the key a is not base64'],
    [`a:${randomBytes(32).toString('base64').replace('=', '')}`, 'the key a is not base64'],
    [`a:${randomBytes(32).toString('hex')}`, 'the key a is 48 bytes long'],
    ['a:', 'the key a is 0 bytes long'],
    [`a:${randomBytes(31).toString('base64')}`, 'the key a is 31 bytes long'],
    [`a:${Buffer.alloc(32).toString('base64')}`, 'the key a is weak'],
  ])('is refused: %s', (text, problem) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem)]);
  });

  test('has all its problems reported, without key material [A-240]', () => {
    const weak = Buffer.alloc(32, 'ab').toString('base64');
    const problems = problemsOf(`a:${weak},nothing,b:short`);
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toMatch(new RegExp(`${weak}|nothing|short,`));
  });

  test('takes every key that a random source gives', () => {
    for (let n = 0; n < 2_000; n++) expect(problemsOf(makeMasterKeyText('k'))).toEqual([]);
  });

  test('shows no key material when printed [16.2.5]', () => {
    const [, material] = oldText.split(':');
    const hex = Buffer.from(material!, 'base64').toString('hex');
    for (const text of [inspect(keys, { depth: 9, showHidden: true }), JSON.stringify(keys)]) {
      expect(text).not.toContain(material);
      expect(text.replaceAll(' ', '')).not.toContain(hex);
    }
  });
});
