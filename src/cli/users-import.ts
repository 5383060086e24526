import { createReadStream } from 'node:fs';
import type { Database } from '#src/database/pool.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { ImportError } from '#src/domain/users/import/errors.ts';
import { importUsers } from '#src/domain/users/import/import-users.ts';
import { type ImportTurn, withImportTurn } from '#src/domain/users/import/turn.ts';
import { type Done, openCheckpoint } from './import-checkpoint.ts';
import { type ProgressStream, startProgress } from './import-progress.ts';
import { openReport } from './import-report.ts';
import { examineSource, type ImportSource } from './import-source.ts';
import { type Outcome, refuse } from './outcome.ts';

/**
 * `tessera users import FILE --tenant SLUG`: imports the users of the file and leaves what was refused in the report, by default
 * FILE.report.jsonl. Run again after an interruption it goes on behind the last batch that was committed, which FILE.progress
 * tells; that file is gone once the import has come to its end.
 */
export async function importUsersFile(
  db: Database,
  { file, tenant, report }: { file: string; tenant: string; report: string | undefined },
  stderr: ProgressStream,
): Promise<Outcome> {
  const tenant_id = await findTenantIdInDirectory(db, 'slug', tenant);
  if (tenant_id === undefined) {
    return refuse('not_found', [`there is no tenant ${tenant}`]);
  }
  try {
    const source = await examineSource(file, report);
    const done = await withImportTurn(db, tenant_id, (turn) => importSource(db, turn, { source, stderr }));
    return present(done, source);
  } catch (error) {
    if (error instanceof ImportError) {
      return refuse(error.code, [error.message]);
    }
    throw error;
  }
}

async function importSource(
  db: Database,
  turn: ImportTurn,
  { source, stderr }: { source: ImportSource; stderr: ProgressStream },
): Promise<Done> {
  const { file, report: reportPath, format, bytes } = source;
  const checkpoint = await openCheckpoint(file, { tenant_id: turn.tenant_id, report: reportPath });
  const report = await openReport(reportPath, checkpoint.done.report_bytes);
  let { done } = checkpoint;
  if (done.records > 0) {
    stderr.write(`goes on behind the ${done.records} records of an earlier run\n`);
  }
  const progress = startProgress(stderr, { bytes, ...done });
  const doneUpTo = done.offset;
  try {
    await importUsers(db, turn, {
      chunks: createReadStream(file),
      format,
      doneUpTo,
      async onBatch({ records, end, written, refusals }) {
        if (end <= doneUpTo) {
          return;
        }
        done = {
          offset: end,
          records: done.records + records,
          imported: done.imported + written.imported,
          updated: done.updated + written.updated,
          unchanged: done.unchanged + written.unchanged,
          refused: done.refused + refusals.length,
          report_bytes: await report.append(refusals),
        };
        await checkpoint.save(done);
        progress.show(done);
      },
    });
  } finally {
    progress.stop();
  }
  if (done.refused === 0) {
    await report.remove();
  }
  await checkpoint.remove();
  return done;
}

function present({ imported, updated, unchanged, refused }: Done, { report }: ImportSource): Outcome {
  const ok = refused === 0;
  return {
    ok,
    document: { ok, imported, updated, unchanged, refused, report: ok ? null : report },
    text: (paint) =>
      [
        `${imported} imported, ${updated} updated, ${unchanged} unchanged, ${refused} refused\n`,
        ok ? '' : `${paint('red', 'The refused lines and why:')} ${report}\n`,
      ].join(''),
  };
}
