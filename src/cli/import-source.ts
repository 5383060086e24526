import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { ImportError } from '#src/domain/users/import/errors.ts';
import type { Format } from '#src/domain/users/import/formats.ts';

export interface ImportSource {
  /** Absolute, as the report. */
  file: string;
  report: string;
  bytes: number;
  format: Format;
}

/** Finds out about the files before anything is done with them. Throws an ImportError (`invalid`) that says what to change. */
export async function examineSource(given: string, report: string | undefined): Promise<ImportSource> {
  const file = path.resolve(given);
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => refuse(given, cause));
  if (!found.isFile()) {
    throw new ImportError(
      'invalid',
      `${given} is no regular file, where an import could go on after an interruption`,
    );
  }
  const reportPath = path.resolve(report ?? `${given}.report.jsonl`);
  const old = await stat(reportPath).catch(() => undefined);
  if (old && (!old.isFile() || (old.ino === found.ino && old.dev === found.dev))) {
    throw new ImportError('invalid', `the report needs a file of its own, and not ${report}`);
  }
  return { file, report: reportPath, bytes: found.size, format: await findFormat(file, given) };
}

async function findFormat(file: string, given: string): Promise<Format> {
  const head = await readHead(file).catch((cause: NodeJS.ErrnoException) => refuse(given, cause));
  if (/^(\xff\xfe|\xfe\xff)/.test(head)) {
    throw new ImportError('invalid', `${given} is UTF-16; save it as UTF-8`);
  }
  switch (path.extname(file).toLowerCase()) {
    case '.jsonl':
    case '.ndjson':
      return 'jsonl';
    case '.csv':
      return 'csv';
    default:
      return /^(\xef\xbb\xbf)?\s*\{/.test(head) ? 'jsonl' : 'csv';
  }
}

/** The first bytes, a character each. */
async function readHead(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1_024), 0, 1_024, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function refuse(given: string, cause: NodeJS.ErrnoException): never {
  throw new ImportError('invalid', `${given} cannot be read (${cause.code})`, { cause });
}
