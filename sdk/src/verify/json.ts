const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The JSON object in these bytes. Refuses (undefined) what is not UTF-8, not JSON or not an object, and an object
 * in which a member name occurs twice at any depth: parsers differ in which of the two they believe (RFC 7515
 * section 4, RFC 7519 section 4).
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return repeatsName(text) ? undefined : (value as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

const token = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

// The text is known to be JSON, so whatever stands before a colon is a name of the innermost object.
function repeatsName(text: string): boolean {
  const open: Set<string>[] = [];
  let last = '';
  for (const [part] of text.matchAll(token)) {
    if (part === '{' || part === '[') open.push(new Set());
    else if (part === '}' || part === ']') open.pop();
    else if (part === ':') {
      const names = open.at(-1)!;
      const name: string = JSON.parse(last);
      if (names.has(name)) return true;
      names.add(name);
    } else last = part;
  }
  return false;
}
