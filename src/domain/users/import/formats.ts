import { parse } from 'csv-parse/sync';
import { ImportError } from './errors.ts';

export type Format = 'jsonl' | 'csv';

/** What a record says; undefined for the one that names the columns. */
export type Reading = { fields: Record<string, unknown> } | { flaw: string } | undefined;

export const fieldNames = ['email', 'name', 'email_verified', 'password_hash', 'roles', 'status'] as const;

/** A reader of records one after the other. Of CSV it throws an ImportError when the first one does not name the columns. */
export function makeReader(format: Format): (text: string) => Reading {
  return format === 'jsonl' ? readJsonLine : makeCsvReader();
}

/** A field that is null counts as left out. */
function readJsonLine(text: string): Reading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The message of the engine quotes the line.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { flaw: 'is not a JSON object' };
  }
  return { fields: Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null)) };
}

/** A cell that is empty counts as left out. */
function makeCsvReader(): (text: string) => Reading {
  let columns: string[] | undefined;
  return (text) => {
    const cells = readCells(text);
    if (columns === undefined) {
      columns = readColumns(cells);
      return undefined;
    }
    if (cells === undefined) {
      return { flaw: 'is not CSV: a quote stands where none may' };
    }
    if (cells.length !== columns.length) {
      return { flaw: `has ${cells.length} cells where the first line names ${columns.length} columns` };
    }
    const filled = columns.flatMap((name, index) =>
      cells[index] === '' ? [] : [[name, readCell(name, cells[index]!)]],
    );
    return { fields: Object.fromEntries(filled) };
  };
}

function readCells(text: string): string[] | undefined {
  try {
    // A lone CR is data, though the parser would find a line end in it.
    return parse(text, { record_delimiter: '\n' })[0];
  } catch {
    return undefined;
  }
}

function readCell(name: string, cell: string): unknown {
  if (name === 'roles') {
    return cell
      .split(';')
      .map((role) => role.trim())
      .filter((role) => role !== '');
  }
  if (name === 'email_verified' && /^(true|false)$/i.test(cell)) {
    return cell.toLowerCase() === 'true';
  }
  return cell;
}

function readColumns(cells: string[] = []): string[] {
  const columns = cells.map((cell) => cell.trim().toLowerCase());
  const refuse = (message: string) => {
    throw new ImportError('invalid', `the first line ${message}`);
  };
  if (!columns.includes('email')) {
    // Perhaps it is a user and no heading, so nothing of it is repeated.
    refuse(
      `must name the columns, separated by commas: ${fieldNames.join(',')} (all but email may be left out)`,
    );
  }
  if (columns.includes('password')) {
    refuse('names the column password: plain passwords are not imported, only password_hash');
  }
  const unknown = columns.filter((name) => !fieldNames.some((field) => field === name));
  if (unknown.length > 0) {
    refuse(`names columns that are not known: ${unknown.map((name) => JSON.stringify(name)).join(', ')}`);
  }
  if (new Set(columns).size < columns.length) {
    refuse('names a column twice');
  }
  return columns;
}
