import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';

/** A key that seals what must be read back; printing it shows no key material. */
export type MasterKey = { readonly id: string; readonly key: KeyObject };

/** Where a sealed value lives. A value moved to another place does not open there. */
export type SealedPlace = { tenant_id: string; table: string; column: string; row: string };

export type SealErrorCode = 'unknown_master_key' | 'seal_broken';

/** Thrown by `open`; carries no part of the value. */
export class SealError extends Error {
  override readonly name = 'SealError';
  readonly code: SealErrorCode;

  constructor(code: SealErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const cipher = 'aes-256-gcm';

/**
 * Seals with the first key, by AES-256-GCM (NIST SP 800-38D) with a random nonce, bound to its place.
 * Layout: version (1 byte), length of the key id (1), key id, nonce (12), tag (16), ciphertext.
 */
export function seal(keys: readonly MasterKey[], plaintext: Uint8Array, associated: SealedPlace): Buffer {
  const [newest] = keys;
  if (!newest) throw new Error('sealing needs a master key');

  const id = Buffer.from(newest.id);
  const header = Buffer.concat([Buffer.from([version, id.length]), id]);
  const nonce = randomBytes(nonceBytes);
  const encryption = createCipheriv(cipher, newest.key, nonce, { authTagLength: tagBytes });
  encryption.setAAD(encodeAssociated(header, associated));
  const ciphertext = Buffer.concat([encryption.update(plaintext), encryption.final()]);
  return Buffer.concat([header, nonce, encryption.getAuthTag(), ciphertext]);
}

/**
 * Opens what `seal` gave, with the key that it names, old or new.
 * Throws a SealError: `unknown_master_key` when that key is not among `keys`, `seal_broken` when the value
 * was changed, cut short or moved to another place.
 */
export function open(keys: readonly MasterKey[], sealed: Uint8Array, associated: SealedPlace): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const headerEnd = 2 + (bytes[1] ?? 0);
  const nonceEnd = headerEnd + nonceBytes;
  const tagEnd = nonceEnd + tagBytes;
  if (bytes[0] !== version || bytes.length < tagEnd) throw broken();

  const header = bytes.subarray(0, headerEnd);
  const id = header.toString('utf8', 2);
  const found = keys.find((candidate) => candidate.id === id);
  if (!found)
    throw new SealError('unknown_master_key', 'the master key that sealed this value is not in MASTER_KEYS');

  const nonce = bytes.subarray(headerEnd, nonceEnd);
  const decryption = createDecipheriv(cipher, found.key, nonce, { authTagLength: tagBytes });
  decryption.setAAD(encodeAssociated(header, associated));
  decryption.setAuthTag(bytes.subarray(nonceEnd, tagEnd));
  const start = decryption.update(bytes.subarray(tagEnd));
  try {
    return Buffer.concat([start, decryption.final()]);
  } catch {
    throw broken();
  }
}

/** Gives a new random key as `id:base64`, the form that `parseMasterKeys` reads. */
export const makeMasterKeyText = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;

/**
 * Reads a list of `id:base64`, newest first, parted by commas or line breaks. Gives the keys, or every problem
 * found: ids that are malformed or repeated, keys that are not 32 bytes or that no random source would give.
 * The problems name a key by its id or position and never show it.
 */
export function parseMasterKeys(
  text: string,
): { ok: true; keys: readonly [MasterKey, ...MasterKey[]] } | { ok: false; problems: string[] } {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const problems: string[] = [];
  const keys: MasterKey[] = [];

  for (const [index, entry] of entries.entries()) {
    const colon = entry.indexOf(':');
    const id = entry.slice(0, Math.max(0, colon));
    if (!/^[a-z0-9_-]{1,64}$/.test(id)) {
      problems.push(`key ${index + 1} needs an id of a-z, 0-9, _ or -, then a colon`);
      continue;
    }
    if (keys.some((key) => key.id === id)) problems.push(`the id ${id} is given twice`);
    const bytes = Buffer.from(entry.slice(colon + 1), 'base64');
    const flaw = bytes.toString('base64') === entry.slice(colon + 1) ? findFlaw(bytes) : 'is not base64';
    if (flaw) problems.push(`the key ${id} ${flaw}`);
    keys.push({ id, key: createSecretKey(bytes) });
  }

  const [newest, ...older] = keys;
  if (problems.length > 0) return { ok: false, problems };
  if (!newest) return { ok: false, problems: ['holds no key'] };
  return { ok: true, keys: [newest, ...older] };
}

// A random key passes each of these tests but once in more than 10^12.
function findFlaw(bytes: Buffer): string | undefined {
  if (bytes.length !== 32) return `is ${bytes.length} bytes long instead of 32`;
  if (new Set(bytes).size < 16 || bytes.subarray(0, 16).equals(bytes.subarray(16))) {
    return 'is weak: its bytes repeat';
  }
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return 'is weak: it is text, not random bytes';
  const step = (bytes[1]! - bytes[0]!) & 0xff;
  if (bytes.every((byte, i) => i === 0 || ((byte - bytes[i - 1]!) & 0xff) === step)) {
    return 'is weak: its bytes count up';
  }
  return undefined;
}

const broken = () => new SealError('seal_broken', 'the sealed value was changed, cut short or moved');

// Each part is led by its length, so that no two places, nor a place and a header, encode alike.
const encodeAssociated = (header: Buffer, { tenant_id, table, column, row }: SealedPlace): Buffer =>
  Buffer.concat(
    [header, tenant_id, table, column, row].flatMap((part) => {
      const bytes = Buffer.from(part);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
