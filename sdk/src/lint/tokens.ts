/** A piece of SQL. `text` is without quotes for what was quoted, and in lower case for a bare word. */
export interface Token {
  kind: 'word' | 'quoted' | 'string' | 'symbol';
  text: string;
  start: number;
  end: number;
}

const form =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|(?<string>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')|(?<dollar>\$(?<tag>\w*)\$[\s\S]*?\$\k<tag>\$)|(?<quoted>"(?:[^"]|"")*")|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|(?<symbol>::|\|\||->>?|<>|!=|:=|\$?\d+(?:\.\d+)?|[^\s])/gu;

/** Cuts SQL, or PL/pgSQL, into its pieces; comments are left out, and what a dollar quotes is one string. */
export function tokens(sql: string): Token[] {
  const found: Token[] = [];
  for (const match of sql.matchAll(form)) {
    const { string, dollar, tag, quoted, word, symbol } = match.groups!;
    const place = { start: match.index, end: match.index + match[0].length };
    if (string !== undefined) {
      found.push({ kind: 'string', text: string.replace(/^[eE]?'|'$/g, '').replaceAll("''", "'"), ...place });
    } else if (dollar !== undefined) {
      const marks = tag!.length + 2;
      found.push({ kind: 'string', text: dollar.slice(marks, -marks), ...place });
    } else if (quoted !== undefined) {
      found.push({ kind: 'quoted', text: quoted.slice(1, -1).replaceAll('""', '"'), ...place });
    } else if (word !== undefined) {
      found.push({ kind: 'word', text: word.toLowerCase(), ...place });
    } else if (symbol !== undefined) {
      found.push({ kind: 'symbol', text: symbol, ...place });
    }
  }
  return found;
}

export interface Call {
  schema: string | undefined;
  name: string;
  arguments: Token[][];
  /** Where it begins and ends in the SQL. */
  start: number;
  end: number;
  /** Whether a sub-select is around it. */
  inSelect: boolean;
}

const isName = (token: Token | undefined): token is Token =>
  token?.kind === 'word' || token?.kind === 'quoted';

/** The calls of functions in SQL, those within arguments of others included; some are no calls but `in (…)`. */
export function calls(all: Token[]): Call[] {
  const found: Call[] = [];
  const selects: boolean[] = [];
  all.forEach((token, index) => {
    if (token.text === '(' && token.kind === 'symbol') {
      const next = all[index + 1];
      const name = all[index - 1];
      if (isName(name)) {
        const schema = all[index - 2]?.text === '.' && isName(all[index - 3]) ? all[index - 3] : undefined;
        const { parts, end } = argumentsFrom(all, index);
        found.push({
          schema: schema?.text,
          name: name.text,
          arguments: parts,
          start: (schema ?? name).start,
          end,
          inSelect: selects.includes(true),
        });
      }
      selects.push(next?.kind === 'word' && next.text === 'select');
    } else if (token.text === ')' && token.kind === 'symbol') {
      selects.pop();
    }
  });
  return found;
}

function argumentsFrom(all: Token[], open: number): { parts: Token[][]; end: number } {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of all.slice(open)) {
    const symbol = token.kind === 'symbol' ? token.text : '';
    if (symbol === ')' && --depth === 0) return { parts: parts[0]!.length > 0 ? parts : [], end: token.end };
    if (symbol === ',' && depth === 1) parts.push([]);
    else if (depth > 0) parts.at(-1)!.push(token);
    if (symbol === '(') depth++;
  }
  return { parts, end: all.at(-1)!.end };
}

/** Whether the words stand one after the other somewhere in the SQL. */
export function hasWords(all: Token[], ...words: string[]): boolean {
  return all.some((_, index) =>
    words.every((word, offset) => all[index + offset]?.kind === 'word' && all[index + offset]!.text === word),
  );
}

/** The SQL with pieces of it replaced. */
export function replaced(sql: string, pieces: { start: number; end: number; text: string }[]): string {
  return [...pieces]
    .sort((a, b) => b.start - a.start)
    .reduce((text, { start, end, text: piece }) => text.slice(0, start) + piece + text.slice(end), sql);
}

/** The sides of an OR that the whole expression is; the expression alone when it is none. */
export function alternatives(sql: string): string[] {
  const all = tokens(sql);
  const first = all[0];
  const last = all.at(-1);
  if (!first || !last) return [sql];
  let depth = 0;
  let closed = 0;
  const starts = [first.start];
  const ends: number[] = [];
  all.forEach(({ kind, text, start, end }, index) => {
    if (kind === 'symbol' && text === '(') depth++;
    if (kind === 'symbol' && text === ')' && --depth === 0 && index < all.length - 1) closed++;
    if (kind === 'word' && text === 'or' && depth === 0) {
      ends.push(start);
      starts.push(end);
    }
  });
  if (ends.length > 0) {
    ends.push(last.end);
    return starts.flatMap((start, index) => alternatives(sql.slice(start, ends[index])));
  }
  const isWrapped = first.text === '(' && last.text === ')' && closed === 0;
  return isWrapped ? alternatives(sql.slice(first.end, last.start)) : [sql];
}
