import { createHash, randomBytes } from 'node:crypto';

/** Remembers on which line each address stood first. */
export interface FirstLines {
  /** The line of an earlier note of the address; undefined, and noted, when this is the first. */
  note(email: string, line: number): number | undefined;
}

/**
 * Holds 64 bits of a salted hash of each address with its line, in 24 to 48 bytes an address whatever its length: a million take
 * 25 MB. Two of a million addresses pass for one another in one of 37 million runs.
 */
export function makeFirstLines(): FirstLines {
  const salt = randomBytes(16);
  let hashes = new BigUint64Array(1_024);
  /** 0 marks a free place. */
  let lines = new Uint32Array(1_024);
  let size = 0;

  const findPlace = (hash: bigint): number => {
    const mask = lines.length - 1;
    let place = Number(hash & BigInt(mask));
    while (lines[place] !== 0 && hashes[place] !== hash) {
      place = (place + 1) & mask;
    }
    return place;
  };
  const put = (place: number, hash: bigint, line: number) => {
    hashes[place] = hash;
    lines[place] = line;
  };
  const grow = () => {
    const [oldHashes, oldLines] = [hashes, lines];
    hashes = new BigUint64Array(2 * oldHashes.length);
    lines = new Uint32Array(2 * oldLines.length);
    for (const [index, line] of oldLines.entries()) {
      if (line !== 0) {
        put(findPlace(oldHashes[index]!), oldHashes[index]!, line);
      }
    }
  };

  return {
    note(email, line) {
      const hash = createHash('sha256').update(salt).update(email).digest().readBigUInt64LE();
      const place = findPlace(hash);
      if (lines[place] !== 0) {
        return lines[place];
      }
      put(place, hash, line);
      size += 1;
      if (2 * size > lines.length) {
        grow();
      }
      return undefined;
    },
  };
}
