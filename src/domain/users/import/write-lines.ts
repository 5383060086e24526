import type { Database } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { ImportError } from './errors.ts';
import type { ImportTurn } from './turn.ts';
import type { ImportedUser } from './user-fields.ts';
import { CreatedMeanwhileError, type Written, writeUsers } from './write-users.ts';

/** A user and the line that asks for it. */
export interface Line {
  line: number;
  user: ImportedUser;
}

export interface LinesWritten {
  written: Written;
  /** Lines that only the database could refuse, with its code (SQLSTATE). */
  refused: { line: Line; code: string }[];
}

/** Others hold a lock on the same user for two seconds at a time before we ask again. */
const maxAttempts = 4;

/**
 * Writes the lines in one transaction. Where the database refuses what one of them says, each half gets a transaction of its
 * own, and so on until that line stands alone. Throws an ImportError (`busy`) when others kept changing the same users.
 */
export async function writeLines(
  db: Database,
  turn: ImportTurn,
  lines: readonly Line[],
): Promise<LinesWritten> {
  const [first] = lines;
  if (first === undefined) {
    return { written: { imported: 0, updated: 0, unchanged: 0 }, refused: [] };
  }
  try {
    const users = lines.map(({ user }) => user);
    return { written: await writePatiently(db, turn, users), refused: [] };
  } catch (error) {
    const code = codeOf(error);
    // A value out of range or a constraint, such as a role that was removed meanwhile.
    if (!/^2[23]/.test(code)) {
      throw error;
    }
    if (lines.length === 1) {
      return { written: { imported: 0, updated: 0, unchanged: 0 }, refused: [{ line: first, code }] };
    }
    const half = Math.ceil(lines.length / 2);
    return join(
      await writeLines(db, turn, lines.slice(0, half)),
      await writeLines(db, turn, lines.slice(half)),
    );
  }
}

function join(one: LinesWritten, other: LinesWritten): LinesWritten {
  return {
    written: {
      imported: one.written.imported + other.written.imported,
      updated: one.written.updated + other.written.updated,
      unchanged: one.written.unchanged + other.written.unchanged,
    },
    refused: [...one.refused, ...other.refused],
  };
}

async function writePatiently(
  db: Database,
  turn: ImportTurn,
  users: readonly ImportedUser[],
): Promise<Written> {
  let failure: unknown;
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    try {
      return await withTenant(db, turn.tenant_id, (tx) => writeUsers(tx, users));
    } catch (error) {
      if (!isWorthAnotherTry(error)) {
        throw error;
      }
      failure = error;
      // The turn may not be silent for long.
      await turn.listRoleNames();
    }
  }
  throw new ImportError('busy', 'others keep changing the same users', { cause: failure });
}

/** A user that was made meanwhile, a lock not got, a deadlock. */
function isWorthAnotherTry(error: unknown): boolean {
  return error instanceof CreatedMeanwhileError || ['40001', '40P01', '55P03'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
