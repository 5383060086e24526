import { type Baseline, parseBaseline } from '../lint/baseline.ts';
import { readNamed } from './files.ts';
import { CannotRun } from './outcome.ts';

/** The baseline in this file of the folder; undefined when it is not there and need not be. Throws CannotRun. */
export function readBaseline(file: string, optional: boolean, directory: string): Baseline | undefined {
  const text = readNamed(directory, file, { optional });
  if (text === undefined) return undefined;
  try {
    return parseBaseline(text);
  } catch (error) {
    throw new CannotRun(`${file}: ${(error as Error).message}`);
  }
}
