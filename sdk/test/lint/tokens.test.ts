import { expect, test } from '@jest/globals';
import { alternatives, calls, hasWords, replaced, tokens } from '../../src/lint/tokens.ts';

const texts = (sql: string) => tokens(sql).map(({ kind, text }) => `${kind} ${text}`);

test('cuts SQL into words, names, texts and symbols, without comments', () => {
  expect(
    texts(`Select "Odd ""n", 'it''s', e'it\\'s' -- no 'text'\n/* nor 'this' */ || $q$it's$q$::uuid`),
  ).toEqual([
    'word select',
    'quoted Odd "n',
    'symbol ,',
    "string it's",
    'symbol ,',
    "string it\\'s",
    'symbol ||',
    "string it's",
    'symbol ::',
    'word uuid',
  ]);
});

test('ends with what nobody ended', () => {
  for (const sql of [`select 'x`, '/* x', '$a$ x', '"x', 'f(a, (b', ')']) {
    expect(calls(tokens(sql)).length).toBeLessThan(3);
  }
});

test('finds calls, their arguments, and whether a sub-select is around them', () => {
  const sql = `a = (select tenant.id()) and f(x, g(y, 'z')) or ( SELECT "H"(1) )`;
  const found = calls(tokens(sql)).filter(({ name }) => !/^(and|or)$/.test(name));
  expect(
    found.map(({ schema, name, arguments: parts, inSelect, start, end }) => [
      schema,
      name,
      parts.length,
      inSelect,
      sql.slice(start, end),
    ]),
  ).toEqual([
    ['tenant', 'id', 0, true, 'tenant.id()'],
    [undefined, 'f', 2, false, `f(x, g(y, 'z'))`],
    [undefined, 'g', 2, false, `g(y, 'z')`],
    [undefined, 'H', 1, true, '"H"(1)'],
  ]);
});

test('finds words in a row, and replaces pieces', () => {
  expect(hasWords(tokens('copy T from stdin'), 't', 'from')).toBe(true);
  expect(hasWords(tokens(`copy 't' from stdin`), 't', 'from')).toBe(false);
  expect(
    replaced('one two three', [
      { start: 0, end: 3, text: '1' },
      { start: 8, end: 13, text: '3' },
    ]),
  ).toBe('1 two 3');
});

test('takes the sides of an OR apart, through parentheses, and of nothing else', () => {
  const sides = (sql: string) => alternatives(sql).map((side) => side.trim());
  expect(sides('((a = 1) OR (b OR (c AND (d OR e))))')).toEqual(
    ['(a = 1)', 'b', '(c AND (d OR e))'].map((side) => side.replace(/^\((.*)\)$/, '$1')),
  );
  expect(sides("(a = 'x or y') and (b or c)")).toEqual(["(a = 'x or y') and (b or c)"]);
  expect(sides('')).toEqual(['']);
});
