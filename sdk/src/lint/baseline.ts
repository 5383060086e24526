import type { Finding } from '../findings.ts';

export interface Accepted {
  rule: string;
  object: string;
  /** Why this is right here: for whoever reads the file next. */
  reason: string;
}

export interface Baseline {
  accepted: Accepted[];
}

/** Reads a baseline file. Throws for anything but `{ "accepted": [{ rule, object, reason }] }`, a reason left out included. */
export function parseBaseline(text: string): Baseline {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error('the baseline is not JSON', { cause: error });
  }
  const accepted = (value as Partial<Baseline> | null)?.accepted;
  if (!Array.isArray(accepted)) {
    throw new Error('the baseline must be { "accepted": [{ "rule", "object", "reason" }] }');
  }
  accepted.forEach((entry: Partial<Accepted> | null, index) => {
    for (const key of ['rule', 'object', 'reason'] as const) {
      const text = entry?.[key];
      if (typeof text !== 'string' || text.trim() === '') {
        throw new Error(`entry ${index + 1} of the baseline has no "${key}"`);
      }
    }
  });
  return { accepted: accepted.map(({ rule, object, reason }: Accepted) => ({ rule, object, reason })) };
}

/** The findings that nobody has accepted, and the entries that accept what is no longer found. */
export function applyBaseline(
  findings: Finding[],
  { accepted }: Baseline,
): { findings: Finding[]; stale: Accepted[] } {
  return {
    findings: findings.filter((finding) => !accepted.some((entry) => isSame(entry, finding))),
    stale: accepted.filter((entry) => !findings.some((finding) => isSame(entry, finding))),
  };
}

/** A baseline file that accepts these findings; what was accepted before keeps its reason, and stale entries go. */
export function writeBaseline(findings: Finding[], before: Baseline = { accepted: [] }): string {
  const accepted = findings.map(({ rule, object }) => ({
    rule,
    object,
    reason:
      before.accepted.find((entry) => isSame(entry, { rule, object }))?.reason ??
      'Found when the baseline was written: say why it is right here, or mend it.',
  }));
  return `${JSON.stringify({ accepted }, undefined, 2)}\n`;
}

function isSame(a: Pick<Finding, 'rule' | 'object'>, b: Pick<Finding, 'rule' | 'object'>): boolean {
  return a.rule === b.rule && a.object === b.object;
}
