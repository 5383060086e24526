import { randomInt } from 'node:crypto';

/**
 * A text that a regular expression of PostgreSQL accepts, for the plain part of the language: classes, groups,
 * alternatives and quantifiers. Gives nothing for what it does not know, look-ahead among it; PostgreSQL judges.
 */
export function textFor(pattern: string): string | undefined {
  let at = 0;
  let failed = false;

  function alternatives(): string {
    const branches: { from: number; text: string }[] = [];
    do branches.push({ from: at, text: branch() });
    while (pattern[at] === '|' && ++at);
    return branches[0]!.text;
  }

  function branch(): string {
    let text = '';
    while (at < pattern.length && pattern[at] !== '|' && pattern[at] !== ')') text += piece();
    return text;
  }

  function piece(): string {
    const start = at;
    const first = atom();
    const end = at;
    const count = quantity();
    let text = count > 0 ? first : '';
    for (let index = 1; index < count; index += 1) {
      const after = at;
      at = start;
      text += atom();
      if (at !== end) failed = true;
      at = after;
    }
    return text;
  }

  function quantity(): number {
    const found = /^(?:([*+?])|\{(\d+)(,(\d*))?\})\??/.exec(pattern.slice(at));
    if (!found) return 1;
    at += found[0].length;
    const [, sign, low, open, high] = found;
    // As many as may be, up to twelve: two texts shall differ.
    if (sign) return sign === '?' ? 0 : 12;
    if (!open) return Number(low);
    return Math.max(Number(low), Math.min(high ? Number(high) : 12, 12));
  }

  function atom(): string {
    const letter = pattern[at++]!;
    if (letter === '^' || letter === '$') return '';
    if (letter === '.') return pick('abcdefghjkmnpqrstuvwxyz');
    if (letter === '(') {
      if (pattern.startsWith('?:', at)) at += 2;
      else if (pattern[at] === '?') failed = true;
      const text = alternatives();
      at += 1;
      return text;
    }
    if (letter === '[') return pick(charClass());
    if (letter === '\\') return pick(escaped(pattern[at++] ?? ''));
    return letter;
  }

  function escaped(letter: string): string {
    const classes: Record<string, string> = {
      d: '0123456789',
      w: 'abcdefghijklmnopqrstuvwxyz',
      s: ' ',
      D: 'abc',
      S: 'abc',
      W: '-',
    };
    if (/[mMyYAZ]/.test(letter)) return '';
    return classes[letter] ?? letter;
  }

  function charClass(): string {
    const negated = pattern[at] === '^';
    if (negated) at += 1;
    let set = '';
    for (let first = true; at < pattern.length && (first || pattern[at] !== ']'); first = false) {
      const named = /^\[:(\w+):\]/.exec(pattern.slice(at));
      if (named) {
        at += named[0].length;
        set += { digit: '0123456789', upper: 'ABCDEF', space: ' ', punct: '-' }[named[1]!] ?? 'abcdefgh';
        continue;
      }
      const letter = pattern[at++]!;
      if (letter === '\\') set += escaped(pattern[at++] ?? '');
      else if (pattern[at] === '-' && pattern[at + 1] !== ']' && pattern[at + 1] !== undefined) {
        for (let code = letter.charCodeAt(0); code <= pattern.charCodeAt(at + 1); code += 1)
          set += String.fromCharCode(code);
        at += 2;
      } else set += letter;
    }
    at += 1;
    if (!negated) return set;
    return [...'abcdefghijklmnopqrstuvwxyz0123456789-_ABC'].filter((one) => !set.includes(one)).join('');
  }

  const text = alternatives();
  return failed || at < pattern.length ? undefined : text;
}

function pick(letters: string): string {
  return letters === '' ? '' : letters[randomInt(letters.length)]!;
}
