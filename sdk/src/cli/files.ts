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

/** The JSON of a file that the command line named. Throws CannotRun with the file and the reason. */
export function readNamedJson(directory: string, file: string): unknown {
  let text: string;
  try {
    text = readFileSync(path.resolve(directory, file), 'utf8');
  } catch (error) {
    throw new CannotRun(`cannot read ${file} (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new CannotRun(`${file} is not JSON`);
  }
}
