import type { Catalogue } from '../catalogue/catalogue.ts';

/** The catalogue with those tables of a wider one that its own refer to, directly or not. */
export function withReferenced(catalogue: Catalogue, wide: Catalogue): Catalogue {
  const known = new Set(catalogue.tables.map(({ id }) => id));
  const targets = (ids: Set<string>) =>
    wide.constraints.flatMap(({ table, references }) =>
      ids.has(table) && references && !ids.has(references.table) ? [references.table] : [],
    );
  for (let found = targets(known); found.length > 0; found = targets(known)) {
    for (const id of found) known.add(id);
  }
  const added = wide.tables.filter(
    ({ id }) => known.has(id) && !catalogue.tables.some((table) => table.id === id),
  );
  const ids = new Set(added.map(({ id }) => id));
  return {
    ...catalogue,
    tables: [...catalogue.tables, ...added],
    constraints: [...catalogue.constraints, ...wide.constraints.filter(({ table }) => ids.has(table))],
    indexes: [...catalogue.indexes, ...wide.indexes.filter(({ table }) => ids.has(table))],
    policies: [...catalogue.policies, ...wide.policies.filter(({ table }) => ids.has(table))],
  };
}

/** Whether a table refers to one that the catalogue does not have. */
export function refersOutside({ tables, constraints }: Catalogue): boolean {
  const known = new Set(tables.map(({ id }) => id));
  return constraints.some(({ references }) => references && !known.has(references.table));
}
