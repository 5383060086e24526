import type { Key } from './key-set.ts';
import type { VerifiedToken } from './verified-token.ts';

/** A verified token and what must still hold when it is shown again. Times are seconds since 1970. */
export interface CachedToken {
  token: VerifiedToken;
  key: Key;
  notBefore: number;
  expiresAt: number;
  /** Thumbprint of the key that it is bound to. */
  jkt: string | undefined;
}

export interface TokenCache {
  get(text: string): CachedToken | undefined;
  set(text: string, entry: CachedToken): void;
  delete(text: string): void;
}

/** Characters of token text for each entry that the bound on entries allows: a usual token has 600 to 800. */
const averageLength = 1024;

/**
 * Verified tokens by their text: at most `size`, made even, and at most `size` KiB of text. In two generations: what
 * was not used while half of the room filled up is forgotten. Only verified tokens get in, so guesses push none out.
 */
export function makeTokenCache(size: number): TokenCache {
  const half = { entries: Math.ceil(size / 2), characters: (size * averageLength) / 2 };
  let young = new Map<string, CachedToken>();
  let old = new Map<string, CachedToken>();
  let characters = 0;

  function set(text: string, entry: CachedToken): void {
    if (text.length > half.characters) return;
    if (!young.has(text)) {
      if (young.size >= half.entries || characters + text.length > half.characters) {
        old = young;
        young = new Map();
        characters = 0;
      }
      characters += text.length;
    }
    young.set(text, entry);
  }

  return {
    get(text) {
      const entry = young.get(text);
      if (entry) return entry;
      const aged = old.get(text);
      if (aged) set(text, aged);
      return aged;
    },
    set,
    delete(text) {
      if (young.delete(text)) characters -= text.length;
      old.delete(text);
    },
  };
}
