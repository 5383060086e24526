import type { Finding } from '../findings.ts';
import { CannotRun } from './outcome.ts';

/** One accepted finding. Two entries that are alike accept two findings that are. */
export interface Accepted {
  rule: string;
  object: string;
  /** Why it is accepted; written by hand, and kept. */
  reason?: string;
}

/** The entries of a baseline file's JSON. Throws CannotRun, naming the file, for another form. */
export function parseBaseline(value: unknown, file: string): Accepted[] {
  const entries = (value as { accepted?: unknown } | null)?.accepted;
  const good =
    Array.isArray(entries) &&
    entries.every((entry) => typeof entry?.rule === 'string' && typeof entry?.object === 'string');
  if (!good) throw new CannotRun(`${file} is no baseline: it must be { "accepted": [{ "rule", "object", "reason"? }] }`);
  return entries;
}

/** Findings that the baseline does not accept, and entries of it that accept nothing any more. */
export function applyBaseline(
  findings: readonly Finding[],
  accepted: readonly Accepted[],
): { left: Finding[]; stale: Accepted[] } {
  const stale = [...accepted];
  const left = findings.filter((finding) => {
    const index = stale.findIndex((entry) => isSame(entry, finding));
    if (index === -1) return true;
    stale.splice(index, 1);
    return false;
  });
  return { left, stale };
}

/** The text of a baseline that accepts these findings, sorted so that changes read well; keeps reasons given before. */
export function baselineText(findings: readonly Finding[], before: readonly Accepted[]): string {
  const known = [...before];
  const accepted = findings
    .map(({ rule, object }): Accepted => {
      const index = known.findIndex((entry) => isSame(entry, { rule, object }));
      const [entry] = index === -1 ? [] : known.splice(index, 1);
      return entry?.reason === undefined ? { rule, object } : { rule, object, reason: entry.reason };
    })
    .sort((a, b) => compare(a.object, b.object) || compare(a.rule, b.rule));
  return `${JSON.stringify({ accepted }, null, 2)}\n`;
}

function isSame(a: { rule: string; object: string }, b: { rule: string; object: string }): boolean {
  return a.rule === b.rule && a.object === b.object;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
