import { appendFile, rm, truncate, writeFile } from 'node:fs/promises';
import type { Refusal } from '#src/domain/users/import/import-users.ts';

/** The file of refused lines, one JSON document a line. */
export interface ImportReport {
  /** Gives the size of the report in bytes. */
  append(refusals: readonly Refusal[]): Promise<number>;
  remove(): Promise<void>;
}

/** Makes the report, which only its owner reads, or keeps the first bytes of the one that an earlier run has begun. */
export async function openReport(path: string, keptBytes: number): Promise<ImportReport> {
  let size = keptBytes;
  await (keptBytes > 0 ? truncate(path, keptBytes) : writeFile(path, '', { mode: 0o600 }));
  return {
    async append(refusals) {
      const text = refusals.map((refusal) => `${JSON.stringify(refusal)}\n`).join('');
      if (text !== '') {
        await appendFile(path, text);
      }
      size += Buffer.byteLength(text);
      return size;
    },
    remove: () => rm(path, { force: true }),
  };
}
