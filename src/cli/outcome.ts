import type { Paint } from '#src/lib/paint.ts';

/** What a command answers: a document for machines, or the text of the same for people. */
export interface Outcome {
  /** False for what was refused or found wrong: exit status 1. */
  ok: boolean;
  document: object;
  /** Set when nothing was done: the text goes to standard error. */
  refused?: true;
  text(paint: Paint): string;
}

/** Rows as lines with aligned columns; the last column is not filled up. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => [...(row[column] ?? '')].length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column < row.length - 1 ? cell + ' '.repeat(widths[column]! - [...cell].length) : cell,
      )
      .join('  ')
      .trimEnd(),
  );
}

/** The outcome of what was refused. */
export function refuse(code: string, problems: readonly string[]): Outcome {
  return {
    ok: false,
    refused: true,
    document: { ok: false, code, problems },
    text: (paint) => problems.map((problem) => `${paint('red', problem)}\n`).join(''),
  };
}
