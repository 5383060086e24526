import { textFor } from './regex.ts';

/** What a condition tells about the values it lets pass. */
export interface Hints {
  /** Values that stand in it, as texts. */
  values: string[];
  /** Texts made for its regular expressions. */
  patterns: string[];
  /** Lengths, of texts, bytes and arrays. */
  lengths: number[];
  /** Numbers and dates that it compares with, with whether the value is to be above. */
  bounds: { value: string; above: boolean }[];
}

const text = String.raw`'((?:[^']|'')*)'(?:::[\w ."\[\]()]+?)?`;
const number = String.raw`\(?(-?\d+(?:\.\d+)?)\)?(?:::[\w ]+)?`;

/** Reads a condition as `pg_get_constraintdef` or `pg_get_expr` prints it. Whatever it says of several columns is for each. */
export function hintsOf(definitions: string[]): Hints {
  const hints: Hints = { values: [], patterns: [], lengths: [], bounds: [] };
  for (const definition of definitions) {
    for (const [, operator, pattern] of definition.matchAll(new RegExp(`(!?~\\*?)\\s*${text}`, 'g'))) {
      const made = operator!.startsWith('!') ? undefined : textFor(pattern!.replaceAll("''", "'"));
      if (made !== undefined) hints.patterns.push(made);
    }
    for (const [, operator, value] of definition.matchAll(new RegExp(`([<>]=?)\\s*\\(?${text}`, 'g')))
      hints.bounds.push({ value: value!, above: operator!.startsWith('>') });
    const measure =
      /(?:\b(?:char_|character_|octet_|bit_)?length|\bcardinality|\barray_length|\bjsonb_array_length)\b/;
    for (const [, before, operator, value] of definition.matchAll(
      new RegExp(`([^=<>]*?)(<=|>=|<>|=|<|>)\\s*${number}`, 'g'),
    )) {
      if (operator === '<>') continue;
      const above = operator!.startsWith('>');
      const edge = operator === '>' ? 1 : operator === '<' ? -1 : 0;
      if (measure.test(before!)) hints.lengths.push(Number(value) + edge);
      else hints.bounds.push({ value: value!, above });
    }
    for (const [, value] of definition.matchAll(new RegExp(text, 'g'))) {
      hints.values.push(value!.replaceAll("''", "'"));
    }
    for (const [, value] of definition.matchAll(/(?:=|ARRAY\[|,|<>)\s*\(?(-?\d+(?:\.\d+)?)\)?/g)) {
      hints.values.push(value!);
    }
  }
  return hints;
}
