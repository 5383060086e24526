import type { Report } from './report.ts';

/** The report for a terminal: what was tried, what got through, what is not known. */
export function reportText(report: Report): string {
  const { findings, attempts, controls, unfilled, notes } = report;
  const through = attempts.filter(({ outcome }) => outcome === 'got through');
  const open = findings.filter(({ rule }) => rule.startsWith('P-00/'));
  const facts: [string, string][] = [
    ['Database', `${report.database}, PostgreSQL ${report.server}`],
    ['Role', report.role],
    ['Date', report.startedAt],
    ['By', `@tessera/rls ${report.version}, in ${(report.duration / 1000).toFixed(1)} s`],
    ['Tables', String(report.tables)],
    ['Attempts', summary(report)],
    [
      'Own rows',
      `${controls.filter(({ worked }) => worked).length} of ${controls.length} accesses to own rows worked`,
    ],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(10)}${value}`);
  lines.push('', verdict(through.length, open.length), '');
  for (const { rule, object, risk, fix } of findings) {
    lines.push(`${rule}  ${object}`, `  ${risk}`, ...fix.split('\n').map((line) => `  ${line}`), '');
  }
  if (unfilled.length > 0) {
    const width = Math.max(...unfilled.map(({ table }) => table.length));
    lines.push('No row could be made in:');
    lines.push(...unfilled.map(({ table, reason }) => `  ${table.padEnd(width)}  ${reason}`), '');
  }
  lines.push(...notes.map((note) => `Note: ${note}`));
  return `${lines.join('\n').trimEnd()}\n`;
}

/** `2214: 1030 refused, 1184 came to nothing, 0 got through`. */
export function summary({ attempts }: Report): string {
  const count = (outcome: string) => attempts.filter((attempt) => attempt.outcome === outcome).length;
  return `${attempts.length}: ${count('refused')} refused, ${count('nothing')} came to nothing, ${count('got through')} got through`;
}

/** The result in a sentence. */
export function verdict(through: number, open: number): string {
  const unknown = open === 0 ? '' : ` Of ${open} ${open === 1 ? 'object' : 'objects'} nothing is proved.`;
  if (through > 0) return `${through} ${through === 1 ? 'attempt' : 'attempts'} got through.${unknown}`;
  return open === 0 ? 'Nothing got through.' : `Nothing got through of what could be tried.${unknown}`;
}
