import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { randomPart } from '#src/lib/random.ts';

/** Where a sealed payload is: it can be opened nowhere else. */
export interface SealedRow {
  tenant_id: string;
  key: Buffer;
  table?: 'protocol_store' | 'sessions';
}

export interface ProtocolCipher {
  /** The stored name of an identifier. The model is part of it: one kind of secret never answers for another. */
  key(model: string, id: string): Buffer;
  seal(payload: object, row: SealedRow): Buffer;
  /** Throws when the row was altered or moved. */
  open(sealed: Buffer, row: SealedRow): Record<string, unknown>;
}

/**
 * Hashes identifiers (HMAC-SHA-256) and seals payloads (AES-256-GCM, a key per row) of the protocol store, so that a dump
 * without the master key holds neither a bearer value nor what it stands for.
 */
export function makeProtocolCipher(secret: Buffer): ProtocolCipher {
  // Key objects: Node takes five times as long to make one out of bytes at every use as to use it.
  const derive = (purpose: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `tessera protocol_store ${purpose}`, 32)));
  const hashKey = derive('key');
  const sealKey = derive('payload');
  const rowKey = (key: Buffer) => createSecretKey(createHmac('sha256', sealKey).update(key).digest());
  const associated = ({ tenant_id, key, table = 'protocol_store' }: SealedRow) =>
    Buffer.concat([Buffer.from(`${tenant_id}:${table}:sealed_payload:`), key]);

  return {
    key: (model, id) => createHmac('sha256', hashKey).update(model).update('\u001f').update(id).digest(),
    seal(payload, row) {
      const nonce = randomPart(12);
      const cipher = createCipheriv('aes-256-gcm', rowKey(row.key), nonce);
      cipher.setAAD(associated(row));
      const sealed = Buffer.concat([cipher.update(JSON.stringify(payload), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
    },
    open(sealed, row) {
      const decipher = createDecipheriv('aes-256-gcm', rowKey(row.key), sealed.subarray(0, 12));
      decipher.setAAD(associated(row));
      decipher.setAuthTag(sealed.subarray(12, 28));
      return JSON.parse(
        Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8'),
      );
    },
  };
}
