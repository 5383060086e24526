import { randomBytes } from 'node:crypto';
import { hash, parseOptions, verify } from '@node-rs/argon2';
import bcrypt from 'bcryptjs';

/** OWASP's first choice for argon2id; the library's Argon2id is a const enum, which type stripping cannot read. */
const own = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 };

/** At most 1,024 bytes in UTF-8. */
const maxCodePoints = 256;
/** Decomposed characters take several code points before normalisation. */
const maxUnits = 8 * maxCodePoints;
/** bcrypt reads no further, so two passwords that differ later would pass for one another. */
const bcryptBytes = 72;

/** Imported hashes cost at most this much, so that a row cannot hold up every sign-in. Memory in KiB. */
const ceiling = { memoryCost: 1_048_576, timeCost: 10, parallelism: 16 };
const bcryptForm = /^\$2[aby]\$1[0-4]\$[./A-Za-z0-9]{53}$/;

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
 * than `minimum` or more than 256 code points (NIST SP 800-63B-4 section 3.1.1.2).
 */
export function findPasswordFlaw(password: string, minimum = 1): string | undefined {
  // Bounded first: normalising a text of megabytes would hold up the process.
  if (password.length > maxUnits) {
    return `is longer than ${maxCodePoints} characters`;
  }
  if (!password.isWellFormed()) {
    return 'holds half of a character (an unpaired surrogate)';
  }
  const normalised = password.normalize('NFC');
  const length = [...normalised].length;
  if (length < minimum) {
    return `has ${length} characters where at least ${minimum} are needed`;
  }
  return length > maxCodePoints ? `is longer than ${maxCodePoints} characters` : undefined;
}

/** Gives the argon2id hash (PHC string) of the password in its NFC form. Throws PasswordError for what `findPasswordFlaw` names. */
export async function hashPassword(password: string): Promise<string> {
  const flaw = findPasswordFlaw(password);
  if (flaw !== undefined) {
    throw new PasswordError(`the password ${flaw}`);
  }
  return hash(password.normalize('NFC'), own);
}

/**
 * Whether this is the password of the stored hash, argon2id or bcrypt. False, without hashing, for a text that can be no
 * password, a hash that `findHashFlaw` refuses, and more than 72 bytes against bcrypt, which would ignore the rest.
 */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  if (findPasswordFlaw(password) !== undefined || findHashFlaw(stored) !== undefined) {
    return false;
  }
  const normalised = password.normalize('NFC');
  if (isBcrypt(stored)) {
    return Buffer.byteLength(normalised) <= bcryptBytes && bcrypt.compare(normalised, stored);
  }
  return verify(stored, normalised);
}

/** Whether a verified password should be hashed anew: bcrypt, or argon2id with other parameters than ours. */
export function needsRehash(stored: string): boolean {
  const options = isBcrypt(stored) ? undefined : readArgon2(stored);
  return (
    options === undefined ||
    options.memoryCost < own.memoryCost ||
    options.timeCost < own.timeCost ||
    options.outputLen < own.outputLen
  );
}

/**
 * Says why a stored or imported hash is not taken, or undefined when it is: bcrypt `$2a$ $2b$ $2y$` of cost 10 to 14, and
 * argon2id of at most 1 GiB, 10 passes and 16 lanes.
 */
export function findHashFlaw(stored: string): string | undefined {
  if (stored.startsWith('$2')) {
    return isBcrypt(stored) ? undefined : 'is no bcrypt hash of $2a$, $2b$ or $2y$ with a cost from 10 to 14';
  }
  const options = readArgon2(stored);
  if (options === undefined) {
    return 'is neither a bcrypt nor an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)';
  }
  const { memoryCost, timeCost, parallelism, outputLen, saltLen } = options;
  if (memoryCost > ceiling.memoryCost || timeCost > ceiling.timeCost || parallelism > ceiling.parallelism) {
    return 'costs more than m=1048576 (1 GiB), t=10, p=16';
  }
  return outputLen < 16 || saltLen < 8 ? 'is too short: its salt needs 8 bytes and its hash 16' : undefined;
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
