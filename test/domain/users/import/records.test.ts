import { describe, expect, test } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { type FileRecord, splitRecords } from '#src/domain/users/import/records.ts';

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
  }
}

async function split(content: string | Buffer, { quotes = false, size = 65_536 } = {}) {
  return collect(splitRecords(inChunks(Buffer.from(content), size), { quotes }));
}

async function collect(found: AsyncIterable<FileRecord>): Promise<FileRecord[]> {
  const records: FileRecord[] = [];
  for await (const record of found) {
    records.push(record);
  }
  return records;
}

const texts = async (content: string | Buffer, options = {}) =>
  (await split(content, options)).map((record) => ('text' in record ? record.text : record.flaw));

test('gives lines with their number and the offset behind them, and leaves out blank ones', async () => {
  expect(await split('one\n\n  \r\ntwö\r\nthree')).toEqual([
    { line: 1, end: 4, text: 'one' },
    { line: 4, end: 15, text: 'twö' },
    { line: 5, end: 20, text: 'three' },
  ]);
});

test.each([[''], ['\n\r\n\n'], ['\u{feff}'], ['\u{feff}\r\n']])('gives nothing for %j', async (content) => {
  expect(await split(content)).toEqual([]);
});

test('takes away a byte order mark at the start and nowhere else', async () => {
  expect(await split('\u{feff}a\n\u{feff}b\n')).toEqual([
    { line: 1, end: 5, text: 'a' },
    { line: 2, end: 10, text: '\u{feff}b' },
  ]);
  expect(await texts('\u{feff}"a\nb",c\n', { quotes: true, size: 2 })).toEqual(['"a\nb",c']);
});

test.each([['\u{ff21}lice'], ['\u{fec1}'], ['»a«'], ['\u{feff}\u{feff}']])(
  'keeps %j, which begins with a byte of that mark',
  async (content) => {
    const kept = content.replace('\u{feff}', '') || content;
    for (const quotes of [false, true]) {
      expect(await texts(`${content}x`, { quotes, size: 1 })).toEqual([`${kept}x`]);
    }
  },
);

test('gives the same whatever the chunks', async () => {
  const content = Buffer.from('\u{feff}"ä\r\nb","c""d"\r\n€,"\n\n"\n"x"y",\n5" disk\n"z"');
  const whole = await split(content, { quotes: true });
  expect(whole).toHaveLength(5);
  for (const size of [1, 2, 3, 7]) {
    expect(await split(content, { quotes: true, size })).toEqual(whole);
  }
});

describe('a record over 64 KiB', () => {
  const longest = 'x'.repeat(65_536);

  test('is a flaw, and what follows is read', async () => {
    expect(await texts(`${longest}\n${longest}x\nnext`, { size: 1_000 })).toEqual([
      longest,
      'is longer than 65536 bytes',
      'next',
    ]);
  });

  test('takes its quoted line ends along, so that nothing in it passes for a record', async () => {
    const cell = `"${longest}\nmallory@example.test,admin\n"`;
    expect(await texts(`a,${cell}\r\nnext`, { quotes: true })).toEqual([
      'is longer than 65536 bytes',
      'next',
    ]);
  });

  test('is not held in memory', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    async function* endless() {
      for (let count = 0; count < 512; count++) {
        yield chunk;
      }
    }
    const before = process.memoryUsage().arrayBuffers;
    const [record] = await collect(splitRecords(endless(), { quotes: false }));
    expect(record).toEqual({ line: 1, end: 33_554_432, flaw: 'is longer than 65536 bytes' });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1_048_576);
  });
});

test('bytes that are not UTF-8 are a flaw of their line alone', async () => {
  const content = Buffer.concat([Buffer.from('a\n'), Buffer.from([0xe9, 0x74, 0xe9]), Buffer.from('\nb\n')]);
  expect(await texts(content)).toEqual(['a', 'is not UTF-8', 'b']);
});

describe('quotes of CSV [RFC 4180 2]', () => {
  test.each([
    ['a line end inside', '"a\nb",c\nd\n', ['"a\nb",c', 'd']],
    ['a doubled quote before a line end', '"a""\nb"\nc\n', ['"a""\nb"', 'c']],
    ['an empty cell', '"",""\nc\n', ['"",""', 'c']],
    ['a comma inside', '"a,\n"\nc\n', ['"a,\n"', 'c']],
    ['CR LF behind the last one', '"a"\r\n"b"\r\n', ['"a"', '"b"']],
    ['one in the middle of a bare cell, which opens nothing', '5" disk\nc\n', ['5" disk', 'c']],
    ['one too many, which does not let the cell out', '"a" b\nc","d"\ne\n', ['"a" b\nc","d"', 'e']],
    ['backslashes, which mean nothing', '"a \\"\n"b\n"\n', ['"a \\"', '"b\n"']],
  ])('%s', async (_, content, expected) => {
    expect(await texts(content, { quotes: true })).toEqual(expected);
  });

  test('one without an end is a flaw at the line where it opens', async () => {
    expect((await split('a\n"b\nc\nd\n', { quotes: true })).at(-1)).toEqual({
      line: 2,
      end: 9,
      flaw: 'opens a quote that is never closed, so the rest of the file was not read',
    });
  });

  test('well-formed files come apart as the parser takes them', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', 'é', ' '), maxLength: 6 });
    const row = fc.array(cell, { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 6 }),
        fc.nat({ max: 8 }),
        async (rows, size) => {
          const lines = rows.map((cells) => cells.map((text) => `"${text.replaceAll('"', '""')}"`).join(','));
          const records = await texts(`${lines.join('\r\n')}\r\n`, { quotes: true, size: size + 1 });
          expect(records.map((text) => parse(text, { record_delimiter: '\n' })[0])).toEqual(rows);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a cell of any text, quoted by the rule, never yields a record of its own', async () => {
    const text = fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'x', '\\'), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const content = `a,"${value.replaceAll('"', '""')}",b\nlast`;
        expect((await split(content, { quotes: true })).length).toBe(2);
      }),
      { numRuns: 500 },
    );
  });
});
