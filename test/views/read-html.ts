/** An element's name, its attributes unescaped, and all the text inside it. */
export type Tag = { name: string; attributes: Map<string, string>; text: string };

const empty = new Set(['meta', 'link', 'input', 'br', 'hr', 'img']);
const tag = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*(\/?)>/gi;
const attribute = /([a-z-]+)(?:="([^"]*)")?/gi;
const references: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

/**
 * Reads a page as strictly as we write it: names in letters, values in double quotes, every other `<`, `>` and
 * `"` escaped, every element closed in its place. Throws on anything else, so that markup that slipped
 * through a value cannot be overlooked. What style and script elements hold is left out.
 */
export function readHtml(source: string): Tag[] {
  const bare = source
    .replace(/^<!doctype html>/, '')
    .replace(/(<(style|script)[^>]*>)[^<]*(<\/\2>)/g, '$1$3');
  const tags: Tag[] = [];
  const open: Tag[] = [];
  let end = 0;
  for (const match of bare.matchAll(tag)) {
    const [whole, closing, name = '', attributes = '', closed] = match;
    addText(open, bare.slice(end, match.index));
    end = match.index + whole.length;
    if (closing) {
      const last = open.pop();
      if (last?.name !== name) throw new Error(`</${name}> closes <${last?.name}>`);
    } else {
      const opened = { name, attributes: readAttributes(attributes), text: '' };
      tags.push(opened);
      if (!closed && !empty.has(name)) open.push(opened);
    }
  }
  addText(open, bare.slice(end));
  if (open.length > 0) throw new Error(`<${open.at(-1)?.name}> is never closed`);
  return tags;
}

function readAttributes(source: string): Map<string, string> {
  return new Map(
    Array.from(source.matchAll(attribute), ([, key = '', value = '']) => [key, unescaped(value)] as const),
  );
}

function addText(open: Tag[], text: string): void {
  if (/[<>"]/.test(text)) throw new Error(`not escaped: ${text.trim().slice(0, 200)}`);
  for (const element of open) element.text += unescaped(text);
}

function unescaped(text: string): string {
  return text.replace(/&(\w+|#\d+);/g, (whole, key: string) => {
    const character = references[key];
    if (character === undefined) throw new Error(`unknown reference ${whole}`);
    return character;
  });
}
