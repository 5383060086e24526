import type { Database } from '#src/database/pool.ts';
import { type FirstLines, makeFirstLines } from './first-lines.ts';
import { type Format, makeReader, type Reading } from './formats.ts';
import { type FileRecord, splitRecords } from './records.ts';
import type { ImportTurn } from './turn.ts';
import { judgeFields } from './user-fields.ts';
import { type Line, writeLines } from './write-lines.ts';
import type { Written } from './write-users.ts';

export interface ImportFile {
  chunks: AsyncIterable<Buffer>;
  format: Format;
  /** Records that end at this offset or before are done by an earlier run: they are read for their addresses only. */
  doneUpTo: number;
}

/** A line that was not imported. It repeats no value of the line but the address. */
export interface Refusal {
  line: number;
  email?: string;
  reason: string;
}

/** What became of some hundred records, once that is committed. */
export interface Batch {
  /** How many there are, with those that were done before. */
  records: number;
  /** Offset in bytes of what follows them. */
  end: number;
  written: Written;
  refusals: Refusal[];
}

const batchSize = 500;

/**
 * Imports a file of users in batches of one transaction each, and gives every batch to `onBatch` before the next begins. A line
 * that cannot be imported becomes a refusal and stops nothing. Holds one batch in memory, and some bytes of each address.
 *
 * Throws an ImportError, `invalid` when a CSV file does not name its columns, `busy` when others kept changing the same users;
 * the batches before stay.
 */
export async function importUsers(
  db: Database,
  turn: ImportTurn,
  { chunks, format, doneUpTo, onBatch }: ImportFile & { onBatch: (batch: Batch) => Promise<void> },
): Promise<void> {
  const read = makeReader(format);
  const firstLines = makeFirstLines();
  for await (const records of inBatches(splitRecords(chunks, { quotes: format === 'csv' }))) {
    const roles = await turn.listRoleNames();
    const lines: Line[] = [];
    const refusals: Refusal[] = [];
    for (const record of records) {
      const judged = judgeRecord(record, { read, roles, firstLines });
      if (judged === undefined || record.end <= doneUpTo) {
        continue;
      }
      if ('user' in judged) {
        lines.push(judged);
      } else {
        refusals.push(judged);
      }
    }
    const { written, refused } = await writeLines(db, turn, lines);
    refusals.push(
      ...refused.map(({ line, code }) =>
        refuse(line.line, line.user.email, `the database refuses it (${code})`),
      ),
    );
    await onBatch({
      records: records.length,
      end: records.at(-1)!.end,
      written,
      refusals: refusals.sort((one, other) => one.line - other.line),
    });
  }
}

async function* inBatches(records: AsyncIterable<FileRecord>): AsyncGenerator<FileRecord[]> {
  let batch: FileRecord[] = [];
  for await (const record of records) {
    batch.push(record);
    if (batch.length === batchSize) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) {
    yield batch;
  }
}

interface Judges {
  read: (text: string) => Reading;
  roles: ReadonlySet<string>;
  firstLines: FirstLines;
}

/** Undefined for the record that names the columns. */
function judgeRecord(record: FileRecord, { read, roles, firstLines }: Judges): Line | Refusal | undefined {
  const { line } = record;
  const reading = 'text' in record ? read(record.text) : record;
  if (reading === undefined) {
    return undefined;
  }
  if ('flaw' in reading) {
    return refuse(line, undefined, `the line ${reading.flaw}`);
  }
  const judged = judgeFields(reading.fields, roles);
  if ('reason' in judged) {
    return refuse(line, judged.email, judged.reason);
  }
  const { email } = judged.user;
  const first = firstLines.note(email, line);
  return first === undefined
    ? { line, user: judged.user }
    : refuse(line, email, `email: line ${first} has the same address`);
}

function refuse(line: number, email: string | undefined, reason: string): Refusal {
  return { line, ...(email === undefined ? {} : { email }), reason };
}
