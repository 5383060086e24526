import { describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { dummyHash, findHashFlaw, hashPassword, needsRehash } from '#src/domain/credentials/password-hash.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { makeMasterKeyText, parseMasterKeys } from '#src/lib/master-key.ts';

const password = 'vexed gnu quilt';
const queue = makeHashingQueue({ concurrency: 2, maxWaiting: 20, maxWaitMs: 30_000 });

function makePepper(id: string) {
  const parsed = parseMasterKeys(makeMasterKeyText(id));
  if (!parsed.ok) {
    throw new Error(parsed.problems.join());
  }
  return parsed.keys[0];
}
const [older, newer] = [makePepper('2025'), makePepper('2026')];

test('each hash has a salt of its own, and says how it was made [N-11]', async () => {
  const hashing = makePasswordHashing(queue);
  const hashes = [await hashing.hash(password), await hashing.hash(password)];
  const salts = hashes.map((stored) => stored.split('$')[4]!);
  expect(salts[0]).not.toBe(salts[1]);
  for (const salt of salts) {
    expect(Buffer.from(salt, 'base64').length).toBeGreaterThanOrEqual(16);
  }
  expect(hashes[0]).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

describe('a pepper [N-12]', () => {
  test('is named in what is stored, and its key is not', async () => {
    const stored = await makePasswordHashing(queue, { peppers: [newer, older] }).hash(password);
    expect(stored).toMatch(/^pepper=2026:\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(stored).not.toContain(newer.key.export().toString('base64').slice(0, 10));
    expect(findHashFlaw(stored)).toBeUndefined();
  });

  test('is part of the hash: without it, with another or with its name taken off, nothing matches', async () => {
    const stored = await makePasswordHashing(queue, { peppers: [newer] }).hash(password);
    const impostor = { id: '2026', key: older.key };
    const verify = (text: string, peppers = [newer]) =>
      makePasswordHashing(queue, { peppers }).verify(password, text);
    expect(await verify(stored)).toBe('right');
    expect(await verify(stored, [impostor])).toBe('wrong');
    expect(await verify(stored.slice('pepper=2026:'.length))).toBe('wrong');
    expect(await verify(stored.replace('pepper=2026:', 'pepper=2025:'), [newer, older])).toBe('wrong');
  });

  test('seasons the password in NFC [A-105]', async () => {
    const hashing = makePasswordHashing(queue, { peppers: [newer] });
    expect(await hashing.verify('cafe\u0301 gnu quilts', await hashing.hash('caf\u00e9 gnu quilts'))).toBe(
      'right',
    );
  });

  test('rotates: old hashes verify and are outdated until they are made with the newest', async () => {
    const plain = await makePasswordHashing(queue).hash(password);
    const first = makePasswordHashing(queue, { peppers: [older] });
    const withOlder = await first.hash(password);
    expect([first.isOutdated(plain), first.isOutdated(withOlder)]).toEqual([true, false]);

    const rotated = makePasswordHashing(queue, { peppers: [newer, older] });
    for (const stored of [plain, withOlder]) {
      expect(await rotated.verify(password, stored)).toBe('right');
      expect(await rotated.verify(`${password}!`, stored)).toBe('wrong');
      expect(rotated.isOutdated(stored)).toBe(true);
    }
    const renewed = await rotated.hash(password);
    expect(rotated.isOutdated(renewed)).toBe(false);
    expect(await makePasswordHashing(queue, { peppers: [newer] }).verify(password, renewed)).toBe('right');
  });

  test('that is gone locks the hash, and is heard of by name', async () => {
    const stored = await makePasswordHashing(queue, { peppers: [older] }).hash(password);
    const missing: string[] = [];
    for (const peppers of [[], [newer]]) {
      const hashing = makePasswordHashing(queue, { peppers, onMissingPepper: (id) => missing.push(id) });
      expect(await hashing.verify(password, stored)).toBe('wrong');
      expect(await hashing.verify(password, dummyHash)).toBe('wrong');
    }
    expect(missing).toEqual(['2025', '2025']);
  });

  test('makes no import of a hash that was made here', async () => {
    const stored = await hashPassword(password, [older]);
    expect(needsRehash(stored)).toBe(false);
    expect(needsRehash(await bcrypt.hash(password, 10))).toBe(true);
  });

  test.each([
    ['of bcrypt', `pepper=2026:$2b$10$${'a'.repeat(53)}`],
    [
      'with a strange id',
      'pepper=20 26:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA',
    ],
    ['named twice', `pepper=a:pepper=b:${dummyHash}`],
    ['before nothing', 'pepper=2026:'],
  ])('%s is no hash of ours', async (_, stored) => {
    expect(findHashFlaw(stored)).toEqual(expect.any(String));
    expect(await makePasswordHashing(queue, { peppers: [newer] }).verify(password, stored)).toBe('wrong');
  });
});
