import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CannotRun } from './outcome.ts';

/** Writes a file that the command line named. Throws CannotRun with the file and the reason. */
export function writeNamed(directory: string, file: string, text: string): void {
  try {
    writeFileSync(path.resolve(directory, file), text);
  } catch (error) {
    throw new CannotRun(`cannot write ${file} (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** The text of a file that the command line named; undefined for one that may be missing, and is. Throws CannotRun. */
export function readNamed(
  directory: string,
  file: string,
  { optional }: { optional: boolean },
): string | undefined {
  try {
    return readFileSync(path.resolve(directory, file), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (optional && code === 'ENOENT') return undefined;
    throw new CannotRun(`cannot read ${file} (${code})`);
  }
}

/** The JSON in a text. Throws CannotRun that names the file, and holds nothing of the text. */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CannotRun(`${file} is not JSON`);
  }
}
