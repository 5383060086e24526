import type { Catalogue } from '../catalogue/catalogue.ts';
import type { Finding } from '../findings.ts';
import type { SchemaOptions } from '../options.ts';
import { rules } from './rules.ts';
import { makeSchema } from './schema.ts';

/**
 * What the catalogue of a database breaks of the rules, in order of their numbers and then of the objects' names.
 * Reads and writes nothing. A fix that begins with a verb of SQL can be run as it is, in one transaction, by the
 * owner of the object; any other says what to decide.
 */
export function lint(catalogue: Catalogue, options: SchemaOptions): Finding[] {
  const schema = makeSchema(catalogue, options);
  return rules.flatMap(({ id, find }) =>
    find(schema)
      .map(({ object, risk, fix }) => ({ rule: id, object, risk, fix }))
      .sort((a, b) => (a.object < b.object ? -1 : a.object > b.object ? 1 : 0)),
  );
}
