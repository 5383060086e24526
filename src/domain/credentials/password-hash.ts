import { createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { hash, parseOptions, verify } from '@node-rs/argon2';
import bcrypt from 'bcryptjs';
import { explainRefusal, longestPassword, type PasswordFlaw } from './password-refusal.ts';

/** A key that is kept apart from the database; without it, a stolen hash is good for nothing. */
export interface Pepper {
  readonly id: string;
  readonly key: KeyObject;
}

/** `cut`: right as far as bcrypt reads, which is 72 bytes, and longer than that. */
export type Verification = 'right' | 'wrong' | 'cut';

/** OWASP's first choice for argon2id; the library's Argon2id is a const enum, which type stripping cannot read. */
const own = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 };

/** Decomposed characters take several code points before normalisation. */
const maxUnits = 8 * longestPassword;
/** bcrypt reads no further, so two passwords that differ later would pass for one another. */
const bcryptBytes = 72;

/** Imported hashes cost at most this much, so that a row cannot hold up every sign-in. Memory in KiB. */
const ceiling = { memoryCost: 1_048_576, timeCost: 10, parallelism: 16 };
const bcryptForm = /^\$2[aby]\$1[0-4]\$[./A-Za-z0-9]{53}$/;
/** How a hash says which pepper it was made with: `pepper=2026-01:$argon2id$…`. */
const pepperForm = /^pepper=([a-z0-9_-]{1,64}):(?=\$argon2id\$)/;

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

/**
 * A hash of no password, with the parameters of ours: verified when the user is unknown or has no password, so that this
 * takes as long as a wrong password does.
 */
export const dummyHash = `$argon2id$v=19$m=19456,t=2,p=1$${unpadded(randomBytes(16))}$${unpadded(randomBytes(32))}`;

/** Thrown for what may not be hashed; the message says why and does not repeat it. */
export class PasswordError extends Error {
  override readonly name = 'PasswordError';
}

/**
 * Says why a text cannot be a password here, or undefined when it can: unpaired surrogates, which UTF-8 would merge, fewer
 * than `minimum` or more than 256 code points in NFC (NIST SP 800-63B-4 section 3.1.1.2).
 */
export function findPasswordFlaw(password: string, minimum = 1): PasswordFlaw | undefined {
  // Bounded first: normalising a text of megabytes would hold up the process.
  if (password.length > maxUnits) {
    return 'too_long';
  }
  if (!password.isWellFormed()) {
    return 'malformed';
  }
  const { length } = [...password.normalize('NFC')];
  if (length < minimum) {
    return 'too_short';
  }
  return length > longestPassword ? 'too_long' : undefined;
}

/**
 * Gives what to store of the password: the argon2id hash (PHC string) of its NFC form, or, where there are peppers, of the
 * HMAC-SHA-256 of that under the newest, behind the pepper's id. Throws PasswordError for what `findPasswordFlaw` names.
 */
export async function hashPassword(password: string, peppers: readonly Pepper[] = []): Promise<string> {
  const flaw = findPasswordFlaw(password);
  if (flaw !== undefined) {
    throw new PasswordError(`the password ${explainRefusal(flaw, { minimum: 1 })}`);
  }
  const [newest] = peppers;
  return newest
    ? `pepper=${newest.id}:${await hash(season(password, newest), own)}`
    : hash(password.normalize('NFC'), own);
}

/**
 * Whether this is the password of the stored hash, argon2id or bcrypt. Wrong, without hashing, for a text that can be no
 * password, and a hash that `findHashFlaw` refuses. A hash whose pepper is not among these matches nothing, and takes as long.
 */
export async function verifyPassword(
  password: string,
  stored: string,
  peppers: readonly Pepper[] = [],
): Promise<Verification> {
  if (findPasswordFlaw(password) !== undefined || findHashFlaw(stored) !== undefined) {
    return 'wrong';
  }
  const normalised = password.normalize('NFC');
  if (isBcrypt(stored)) {
    const matches = await bcrypt.compare(normalised, stored);
    return matches ? (Buffer.byteLength(normalised) > bcryptBytes ? 'cut' : 'right') : 'wrong';
  }
  const { pepper_id, hash: bare } = readStored(stored);
  const pepper = peppers.find(({ id }) => id === pepper_id);
  if (pepper_id !== undefined && pepper === undefined) {
    await verify(dummyHash, normalised);
    return 'wrong';
  }
  return (await verify(bare, pepper ? season(password, pepper) : normalised)) ? 'right' : 'wrong';
}

/** Whether a hash was not made here: bcrypt, or argon2id that cost less than ours. */
export function needsRehash(stored: string): boolean {
  const options = isBcrypt(stored) ? undefined : readArgon2(readStored(stored).hash);
  return (
    options === undefined ||
    options.memoryCost < own.memoryCost ||
    options.timeCost < own.timeCost ||
    options.outputLen < own.outputLen
  );
}

/** Whether a verified password should be hashed anew: the hash was not made here, or not with the newest pepper. */
export function isOutdated(stored: string, [newest]: readonly Pepper[]): boolean {
  return needsRehash(stored) || findPepperId(stored) !== newest?.id;
}

/** The id of the pepper that this hash was made with, if any. */
export function findPepperId(stored: string): string | undefined {
  return readStored(stored).pepper_id;
}

/**
 * Says why a stored or imported hash is not taken, or undefined when it is: bcrypt `$2a$ $2b$ $2y$` of cost 10 to 14, and
 * argon2id of at most 1 GiB, 10 passes and 16 lanes.
 */
export function findHashFlaw(stored: string): string | undefined {
  if (stored.startsWith('$2')) {
    return isBcrypt(stored) ? undefined : 'is no bcrypt hash of $2a$, $2b$ or $2y$ with a cost from 10 to 14';
  }
  const options = readArgon2(readStored(stored).hash);
  if (options === undefined) {
    return 'is neither a bcrypt nor an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)';
  }
  const { memoryCost, timeCost, parallelism, outputLen, saltLen } = options;
  if (memoryCost > ceiling.memoryCost || timeCost > ceiling.timeCost || parallelism > ceiling.parallelism) {
    return 'costs more than m=1048576 (1 GiB), t=10, p=16';
  }
  return outputLen < 16 || saltLen < 8 ? 'is too short: its salt needs 8 bytes and its hash 16' : undefined;
}

/** As text, since the library verifies nothing but text. */
function season(password: string, { key }: Pepper): string {
  return createHmac('sha256', key).update(password.normalize('NFC')).digest('base64');
}

function readStored(stored: string): { pepper_id: string | undefined; hash: string } {
  const match = pepperForm.exec(stored);
  return { pepper_id: match?.[1], hash: stored.slice(match?.[0].length ?? 0) };
}

function isBcrypt(stored: string): boolean {
  return bcryptForm.test(stored);
}

function readArgon2(stored: string) {
  if (!stored.startsWith('$argon2id$') || stored.length > 500) {
    return undefined;
  }
  try {
    return parseOptions(stored);
  } catch {
    return undefined;
  }
}
