import { randomInt, randomUUID } from 'node:crypto';
import type { Catalogue, Table } from '../../catalogue/catalogue.ts';
import type { Tenant } from '../session.ts';
import type { Side } from './fill.ts';
import type { Rules } from './row.ts';
import { candidates, none, word } from './values.ts';

/** Two tenants as the tenant columns of most tables can take them. */
export function makeTenants(catalogue: Catalogue, rules: Rules): Record<Side, Tenant> {
  const columns = catalogue.tables.flatMap((table) =>
    table.columns.filter(({ name }) => name === table.tenantColumn).map((column) => ({ table, column })),
  );
  const types = columns.map(({ column }) => column.typeId);
  const most = types.sort(
    (a, b) => types.filter((one) => one === b).length - types.filter((one) => one === a).length,
  )[0];
  const typical = columns.find(({ column }) => column.typeId === most);
  const [user] = usersOf(catalogue);
  const make = (): Tenant => ({
    id: typical ? tenantId(typical.column, rules) : randomUUID(),
    subject: user ? tenantId(user.column, rules) : randomUUID(),
  });
  const [a, b] = [make(), make()];
  return a.id === b.id ? makeTenants(catalogue, rules) : { a, b };
}

function tenantId(column: Table['columns'][number], rules: Rules): string {
  const type = rules.types.get(column.typeId);
  if (/^(bigint|integer)$/.test(column.type)) return String(randomInt(1_000_000_000, 2_000_000_000));
  if (/^(text|character varying|citext)$/.test(column.type)) return randomUUID();
  return (type && candidates(column, rules.types, none)[0]) ?? word(12);
}

/** Tables of users, with the column that the subject of a token names: policies may ask what the user is a member of. */
export function usersOf({
  tables,
  constraints,
}: Catalogue): { table: Table; column: Table['columns'][number] }[] {
  return tables
    .filter(({ name, kind }) => /^(app_|auth_)?users?$/i.test(name) && kind === 'table')
    .flatMap((table) => {
      const key = constraints.find(({ table: id, kind }) => id === table.id && kind === 'primary');
      const names = (key?.columns ?? []).filter((name) => name !== table.tenantColumn);
      const column = table.columns.find(({ name }) => name === names[0]);
      return column && names.length === 1 ? [{ table, column }] : [];
    });
}
