/** A name in quotes, whatever it is. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."name"`. */
export function relation({ schema, name }: { schema: string; name: string }): string {
  return `${ident(schema)}.${ident(name)}`;
}

/** A text as a literal without a type, as the simple protocol needs it; `null` for null. */
export function literal(value: string | null): string {
  if (value === null) return 'null';
  const quoted = value.replaceAll("'", "''");
  return value.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** Literals in a row, with commas. */
export function literals(values: (string | null)[]): string {
  return values.map(literal).join(', ');
}
