import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';

const count = z.number().int().nonnegative();

const doneSchema = z.strictObject({
  /** Everything in front of this offset of the file is committed. */
  offset: count,
  records: count,
  imported: count,
  updated: count,
  unchanged: count,
  refused: count,
  /** The size of the report by then. */
  report_bytes: count,
});

/** How far an import has come, and what became of the records so far. */
export type Done = z.output<typeof doneSchema>;

const checkpointSchema = z.strictObject({
  tenant_id: z.string(),
  /** Where the report is. */
  report: z.string(),
  /** Of the bytes in front of the offset: a file that was changed there begins anew. */
  sha256: z.string(),
  done: doneSchema,
});

export interface Checkpoint {
  /** Where an earlier run of the same import stopped; all zero when there was none, or it does not fit the file any more. */
  done: Done;
  /** Called once all that it tells of is committed and in the report. */
  save(done: Done): Promise<void>;
  remove(): Promise<void>;
}

const nothingDone: Done = {
  offset: 0,
  records: 0,
  imported: 0,
  updated: 0,
  unchanged: 0,
  refused: 0,
  report_bytes: 0,
};

/** Reads FILE.progress, and makes it or fails before anything else is done. */
export async function openCheckpoint(
  file: string,
  { tenant_id, report }: { tenant_id: string; report: string },
): Promise<Checkpoint> {
  const path = `${file}.progress`;
  const found = await readCheckpoint(path);
  let hash = createHash('sha256');
  let hashed = 0;
  const hashUpTo = async (offset: number) => {
    await updateFromFile(hash, file, { from: hashed, to: offset });
    hashed = offset;
    return hash.copy().digest('hex');
  };

  const fits =
    found !== undefined &&
    found.tenant_id === tenant_id &&
    found.report === report &&
    (await sizeOf(report)) >= found.done.report_bytes &&
    (await hashUpTo(found.done.offset)) === found.sha256;
  if (!fits) {
    hash = createHash('sha256');
    hashed = 0;
  }
  const save = async (done: Done) => {
    const checkpoint = { tenant_id, report, sha256: await hashUpTo(done.offset), done };
    await writeFile(`${path}.new`, JSON.stringify(checkpoint), { mode: 0o600 });
    await rename(`${path}.new`, path);
  };
  const done = fits ? found.done : nothingDone;
  await save(done);
  return { done, save, remove: () => rm(path, { force: true }) };
}

/** Undefined when there is none that can be read: the import then begins at the beginning, which does no harm. */
async function readCheckpoint(path: string): Promise<z.output<typeof checkpointSchema> | undefined> {
  try {
    return checkpointSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

async function updateFromFile(
  hash: Hash,
  file: string,
  { from, to }: { from: number; to: number },
): Promise<void> {
  if (from < to) {
    for await (const chunk of createReadStream(file, { start: from, end: to - 1 })) {
      hash.update(chunk);
    }
  }
}
