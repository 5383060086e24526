import type { Finding } from '../findings.ts';
import { rules } from './rules.ts';

const colours = { error: 31, warning: 33, note: 36 } as const;

/** Findings for people: grouped by object in the order they came, with the counts at the end. Ends with a newline. */
export function lintText(findings: Finding[], { colour = false }: { colour?: boolean } = {}): string {
  if (findings.length === 0) return 'Nothing found.\n';
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const objects = [...new Set(findings.map(({ object }) => object))];
  const width = Math.max(...findings.map(({ rule }) => rule.length));
  const margin = ' '.repeat(width + 4);

  const groups = objects.map((object) => {
    const lines = findings
      .filter((finding) => finding.object === object)
      .map(({ rule, risk, fix }) => {
        const level = rules.find(({ id }) => id === rule)?.level ?? 'error';
        const mend = fix.split('\n').map((line) => `${margin}${line}`);
        return [`  ${paint(colours[level], rule.padEnd(width))}  ${risk}`, ...mend].join('\n');
      });
    return [paint(1, object), ...lines].join('\n');
  });
  const total = `${count(findings.length, 'finding')} in ${count(objects.length, 'object')}.`;
  return `${groups.join('\n\n')}\n\n${total}\n`;
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
