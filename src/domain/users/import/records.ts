import { isUtf8 } from 'node:buffer';

/** One record of a file: a line, or in CSV several when a quoted cell holds line ends. */
export type FileRecord = {
  /** Of its first line, from 1. */
  line: number;
  /** Offset in bytes of what follows it. */
  end: number;
} & ({ text: string } | { flaw: string });

const byteOrderMark = Buffer.from('\u{feff}');
const newline = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const comma = 0x2c;

const maxRecordBytes = 65_536;

/**
 * Cuts a file into its records and leaves out the blank ones, a byte order mark and line ends (LF or CR LF). A record over
 * 64 KiB is never held in memory; that, bytes that are not UTF-8 and a quote without an end are flaws of the record.
 *
 * With `quotes` a line end inside of a quoted cell is part of it (RFC 4180 section 2). A quote ends the cell only in front of
 * a comma or a line end: what comes behind a misplaced one stays inside, so that text of a cell never passes for a record.
 */
export async function* splitRecords(
  chunks: AsyncIterable<Buffer>,
  { quotes }: { quotes: boolean },
): AsyncGenerator<FileRecord> {
  const cell = quotes ? makeCellState() : undefined;
  let parts: Buffer[] = [];
  let length = 0;
  let offset = 0;
  let begin = 0;
  let line = 1;
  let firstLine = 1;

  const keep = (bytes: Buffer) => {
    length += bytes.length;
    parts = length > maxRecordBytes ? [] : [...parts, bytes];
  };
  const take = (end: number): FileRecord | undefined => {
    const bytes = Buffer.concat(parts);
    const content = begin === 0 && bytes.indexOf(byteOrderMark) === 0 ? bytes.subarray(3) : bytes;
    const record = {
      line: firstLine,
      end,
      ...readBytes(content, length, cell?.isOpen() ?? false),
    };
    parts = [];
    length = 0;
    begin = end;
    firstLine = line;
    cell?.reset();
    return 'text' in record && record.text.trim() === '' ? undefined : record;
  };

  for await (const chunk of chunks) {
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index]!;
      if (byte !== newline) {
        // A quote behind the mark still stands at the start of its cell.
        if (byte !== byteOrderMark[offset + index]) {
          cell?.follow(byte);
        }
      } else {
        line += 1;
        if (!cell?.isOpen()) {
          keep(chunk.subarray(start, index));
          const record = take(offset + index + 1);
          if (record) {
            yield record;
          }
          start = index + 1;
        }
      }
    }
    keep(chunk.subarray(start));
    offset += chunk.length;
  }
  const last = length > 0 ? take(offset) : undefined;
  if (last) {
    yield last;
  }
}

function readBytes(bytes: Buffer, length: number, open: boolean): { text: string } | { flaw: string } {
  if (open) {
    return { flaw: 'opens a quote that is never closed, so the rest of the file was not read' };
  }
  if (length > maxRecordBytes) {
    return { flaw: `is longer than ${maxRecordBytes} bytes` };
  }
  return isUtf8(bytes) ? { text: bytes.toString().replace(/\r$/, '') } : { flaw: 'is not UTF-8' };
}

/** Follows the bytes of a CSV record: whether a line end would be inside of a quoted cell. */
function makeCellState() {
  let atStart = true;
  let quoted = false;
  /** Behind a quote in a quoted cell, which the next byte makes its end or a part of it. */
  let closing = false;
  const reset = () => {
    atStart = true;
    quoted = false;
    closing = false;
  };
  return {
    reset,
    isOpen: () => quoted && !closing,
    follow(byte: number) {
      if (byte === comma && (!quoted || closing)) {
        reset();
      } else if (closing) {
        closing = byte === carriageReturn;
      } else if (byte === quote && (quoted || atStart)) {
        closing = quoted;
        quoted = true;
        atStart = false;
      } else {
        atStart = false;
      }
    },
  };
}
