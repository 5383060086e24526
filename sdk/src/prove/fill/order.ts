import type { Constraint, Table } from '../../catalogue/catalogue.ts';

export type Reference = Constraint & { references: NonNullable<Constraint['references']> };

/** Tables one by one, each after those that it refers to; `late` are references that have to wait. */
export interface Step {
  table: Table;
  /** Nullable: they are filled in when all tables have their rows. */
  late: Reference[];
  /** Not nullable, of a circle: the row that they refer to is made afterwards. */
  ahead: Reference[];
}

/** The order in which rows can be made. In a circle the nullable keys wait; without one a deferrable key must do. */
export function fillOrder(tables: Table[], constraints: Constraint[]): Step[] {
  const known = new Set(tables.map(({ id }) => id));
  const references = new Map<string, Reference[]>();
  for (const constraint of constraints) {
    if (!constraint.references || constraint.inherited || !known.has(constraint.references.table)) continue;
    const own = references.get(constraint.table) ?? [];
    references.set(constraint.table, [...own, constraint as Reference]);
  }
  const open = new Set(tables);
  const done = new Set<string>();
  const waits = (table: Table, { references: { table: target } }: Reference) =>
    target !== table.id && !done.has(target);
  const unmet = (table: Table) => (references.get(table.id) ?? []).filter((key) => waits(table, key));
  const firm = (table: Table) => unmet(table).filter((key) => !isNullable(table, key));

  const order: Step[] = [];
  while (open.size > 0) {
    const rest = [...open];
    const table =
      rest.find((one) => unmet(one).length === 0) ??
      rest.find((one) => firm(one).length === 0) ??
      rest.find((one) => firm(one).every(({ definition }) => /DEFERRABLE/.test(definition))) ??
      rest[0]!;
    const ahead = firm(table);
    order.push({ table, late: unmet(table).filter((key) => !ahead.includes(key)), ahead });
    open.delete(table);
    done.add(table.id);
  }
  return order;
}

/** One null is enough for a key to refer to nothing. */
export function isNullable(table: Table, key: Constraint): boolean {
  return !/MATCH FULL/.test(key.definition) && freeColumns(table, key).length > 0;
}

/** Columns of a key that may be null, but for the tenant. */
export function freeColumns(table: Table, key: Constraint): string[] {
  return key.columns.filter(
    (name) =>
      name !== table.tenantColumn &&
      table.columns.some((column) => column.name === name && !column.notNull && !column.generated),
  );
}
