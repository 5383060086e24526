import nodeCrypto from 'node:crypto';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { hash, verify } from '@node-rs/argon2';
import argon2 from 'argon2';
import {
  findHashFlaw,
  hashPassword,
  needsRehash,
  verifyPassword,
} from '#src/domain/credentials/password-hash.ts';

// argon2id by three authors: what one stores, the others must be able to read. RFC 9106.
const password = 'vexed gnu quilt';
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const derive = promisify(nodeCrypto.argon2);

/** node:crypto gives bytes and no PHC string, so the parameters come from the string that is to be compared. */
async function nodeVerifies(stored: string, typed: string): Promise<boolean> {
  const [, , , parameters, salt, expected] = stored.split('$');
  const read = (name: string) => Number(new RegExp(`(?:^|,)${name}=(\\d+)`).exec(parameters!)![1]);
  const wanted = Buffer.from(expected!, 'base64');
  const bytes = await derive('argon2id', {
    message: typed,
    nonce: Buffer.from(salt!, 'base64'),
    memory: read('m'),
    passes: read('t'),
    parallelism: read('p'),
    tagLength: wanted.length,
  });
  return bytes.equals(wanted);
}

async function nodeHash(typed: string): Promise<string> {
  const nonce = nodeCrypto.randomBytes(16);
  const bytes = await derive('argon2id', {
    message: typed,
    nonce,
    memory: cost.memoryCost,
    passes: cost.timeCost,
    parallelism: cost.parallelism,
    tagLength: 32,
  });
  const unpadded = (value: Buffer) => value.toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=19456,t=2,p=1$${unpadded(nonce)}$${unpadded(bytes)}`;
}

const makers: Record<string, (typed: string) => Promise<string>> = {
  'this server': (typed) => hashPassword(typed),
  // Argon2id, a const enum of the library.
  '@node-rs/argon2': (typed) => hash(typed, { ...cost, algorithm: 2 }),
  argon2: (typed) => argon2.hash(typed, { ...cost, type: argon2.argon2id }),
  'node:crypto': nodeHash,
};

const verifiers: Record<string, (stored: string, typed: string) => Promise<boolean>> = {
  'this server': async (stored, typed) => (await verifyPassword(typed, stored)) === 'right',
  '@node-rs/argon2': (stored, typed) => verify(stored, typed),
  argon2: (stored, typed) => argon2.verify(stored, typed),
  'node:crypto': nodeVerifies,
};

const names = Object.keys(makers);

describe.each(names)('a hash of %s', (maker) => {
  test.each(names)('is verified by %s', async (verifier) => {
    const stored = await makers[maker]!(password);
    expect(await verifiers[verifier]!(stored, password)).toBe(true);
    expect(await verifiers[verifier]!(stored, `${password}!`)).toBe(false);
  });

  test('is taken here as it stands, and is as strong as ours [H-02]', async () => {
    const stored = await makers[maker]!(password);
    expect(findHashFlaw(stored)).toBeUndefined();
    expect(needsRehash(stored)).toBe(false);
  });
});

test('the order of the parameters is no part of a hash: argon2 writes m,p,t', async () => {
  const stored = await makers['argon2']!(password);
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,p=1,t=2\$/);
  expect(await verifyPassword(password, stored)).toBe('right');
});

test('other costs are read from the hash, not assumed', async () => {
  const stored = await argon2.hash(password, { memoryCost: 8_192, timeCost: 3, parallelism: 2 });
  for (const verifies of Object.values(verifiers)) {
    expect(await verifies(stored, password)).toBe(true);
  }
  expect(needsRehash(stored)).toBe(true);
});
