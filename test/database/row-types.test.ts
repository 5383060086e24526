import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

interface Column {
  name: string;
  type: string;
  nullable: boolean;
  /** Whether an insert may leave it out. */
  optional: boolean;
}

const source = readFileSync(new URL('../../src/database/schema.ts', import.meta.url), 'utf8');

/** The properties of an interface with the text of their types. */
function readInterface(name: string): [string, string][] {
  const body = new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(source)?.[1];
  return [...(body ?? '').matchAll(/^ {2}(\w+): ([^;]+);$/gm)].map(([, key, type]) => [key!, type!]);
}

const tables = readInterface('Schema');

/** What the row type says: what a select gives, whether that may be null, and whether an insert may leave it out. */
function readRowType(type: string): Omit<Column, 'name'> {
  const nullable = / \| null$/.test(type) || type === 'NullableTimestamp';
  const generated = /^(Generated|Timestamp|TenantId)\b/.test(type) || /\| undefined, [^,]+>$/.test(type);
  return {
    type: /^(?:(?:Generated|ColumnType|JSONColumnType)<)?(.+)$/.exec(type)![1]!,
    nullable,
    optional: nullable || generated,
  };
}

/** How each type of the database looks in a row. */
const typeForms: Record<string, RegExp> = {
  uuid: /^(string|TenantId)\b/,
  text: /^(string\b(?!\[)|'[\w-]+')/,
  'text[]': /^string\[\]/,
  bigint: /^string\b/,
  boolean: /^boolean\b/,
  bytea: /^Buffer\b/,
  jsonb: /^JSONColumnType</,
  integer: /^(Generated<)?number\b/,
  xid8: /^string\b/,
  'timestamp with time zone': /^(Nullable)?Timestamp$|^Date\b/,
};

let database: TestDatabase;
const catalogue = new Map<string, Column[]>();

beforeAll(async () => {
  database = await createTestDatabase();
  const rows = await runStatements(database.superUrl, [
    `select relname::text as table, attname::text as name, format_type(atttypid, atttypmod) as type,
      not attnotnull as nullable, not attnotnull or atthasdef as optional
    from pg_attribute join pg_class c on c.oid = attrelid
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and attnum > 0 and not attisdropped
    order by relname, attnum`,
  ]);
  for (const { table, ...column } of rows as unknown as (Column & { table: string })[]) {
    catalogue.set(table, [...(catalogue.get(table) ?? []), column]);
  }
});
afterAll(() => database.drop());

test('there is a row type for every table and no other', () => {
  expect(tables.map(([table]) => table).sort()).toEqual([...catalogue.keys()].sort());
});

describe.each(tables)('the row type of %s', (table, name) => {
  const properties = readInterface(name);

  test('has every column and no other', () => {
    expect(properties.map(([key]) => key).sort()).toEqual(
      catalogue
        .get(table)!
        .map((column) => column.name)
        .sort(),
    );
  });

  test.each(properties)('says of %s what the catalogue says', (key, type) => {
    const column = catalogue.get(table)!.find((one) => one.name === key)!;
    const described = readRowType(type);
    expect({ key, nullable: described.nullable, optional: described.optional }).toEqual({
      key,
      nullable: column.nullable,
      optional: column.optional,
    });
    const form = column.type === 'jsonb' ? type : described.type;
    expect(form).toMatch(typeForms[column.type] ?? `a form of ${column.type}, to be named in this test`);
  });
});
