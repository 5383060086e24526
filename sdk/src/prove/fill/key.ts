import type { Catalogue, Table } from '../../catalogue/catalogue.ts';
import { ident, literal } from '../sql.ts';
import type { Row } from './row.ts';

/** Types that cannot be compared, or whose text is not the whole value. */
const incomparable =
  /^(json|xml|point|line|lseg|box|path|polygon|circle|real|double precision|money|geometry|geography|tsquery)\b|\[\]$/;

/** A condition that only this row meets; by its primary key where there is one. */
export function keyOf(catalogue: Catalogue, row: Row, table: Table, alias: string): string {
  const columns = keyColumns(catalogue, row, table);
  if (columns.length === 0) return `${alias}.tableoid = ${literal(row.place)}`;
  return columns.map((name) => `${alias}.${ident(name)} = ${literal(row.values[name]!)}`).join(' and ');
}

/** The columns of that condition; none when nothing in the row can be compared. */
export function keyColumns(catalogue: Catalogue, row: Row, table: Table): string[] {
  const has = (names: string[]) => names.every((name) => row.values[name] != null);
  const primary = catalogue.constraints.find(
    (one) => one.kind === 'primary' && one.table === table.id && has(one.columns),
  );
  if (primary) return primary.columns;
  return table.columns
    .filter(({ name, type }) => row.values[name] != null && !incomparable.test(type))
    .map(({ name }) => name);
}
