import type { Finding } from '../findings.ts';

/** Text with or without colours. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  code(text: string): string;
}

/** The colours of a terminal, or none at all. */
export function makeStyle(colours: boolean): Style {
  const paint = (on: number, off: number) => (text: string) =>
    colours && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    good: paint(32, 39),
    bad: paint(31, 39),
    code: paint(36, 39),
  };
}

/** The text without what a terminal would obey or not show: names come from a database, claims from a stranger. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (unit) =>
    unit === '\n' ? unit : `\\u${unit.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  );
}

/** The same for all that is shown of findings. */
export function printableFindings(findings: readonly Finding[]): Finding[] {
  return findings.map(({ rule, object, risk, fix }) => ({
    rule,
    object: printable(object),
    risk: printable(risk),
    fix: printable(fix),
  }));
}

/** Words broken into lines of at most `width` characters, each behind the indent. */
export function wrap(text: string, indent: string, width = 96): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => indent + one).join('\n');
}

/** `1 table`, `2 tables`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
