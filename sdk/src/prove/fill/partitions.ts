import type { Table } from '../../catalogue/catalogue.ts';
import type { Session } from '../session.ts';
import type { Filled, Side } from './fill.ts';
import { makeRow, type Row, type Rules } from './row.ts';

/** Makes rows in the partitions that have none yet; where the bounds do not let it, they stay empty. */
export async function fillPartitions(
  session: Session,
  rules: Rules,
  filled: Filled,
  silent: boolean,
): Promise<void> {
  const { tables, constraints } = session.catalogue;
  const byId = new Map(tables.map((table) => [table.id, table]));
  const rootOf = (table: Table): Table => {
    const parent = table.parents.map((id) => byId.get(id)).find((one) => one?.kind === 'partitioned');
    return parent ? rootOf(parent) : table;
  };
  const held = new Set(
    [...filled.pairs.values()].flatMap(({ a, b }) => (a.place === b.place ? [a.place] : [])),
  );
  for (const table of tables.filter(({ kind, id }) => kind === 'partition' && !held.has(id))) {
    const root = rootOf(table);
    const pair = filled.pairs.get(root.id);
    if (!pair || pair.borrowed) continue;
    const keys = constraints.filter((one) => one.table === root.id && one.kind === 'foreign');
    const names = new Set([root.tenantColumn, ...keys.flatMap(({ columns }) => columns)]);
    const made: Partial<Record<Side, Row>> = {};
    for (const side of ['a', 'b'] as const) {
      const { tenant, values } = pair[side];
      const row = await makeRow(session, rules, {
        table,
        tenant: silent ? { ...tenant, id: '' } : tenant,
        fixed: Object.fromEntries(Object.entries(values).filter(([name]) => names.has(name))),
        loose: new Set(),
        keep: true,
        before: [],
      });
      if (typeof row !== 'string') made[side] = { ...row, tenant };
    }
    if (!made.a || !made.b) continue;
    filled.pairs.set(table.id, {
      table,
      a: made.a,
      b: made.b,
      spare: { a: undefined, b: undefined },
      spareReason: 'a partition takes what its parent is given',
      borrowed: true,
    });
  }
}
