import type { Session } from '../session.ts';
import { literals } from '../sql.ts';

/** A type as values are made for it. */
export interface TypeInfo {
  id: string;
  name: string;
  kind: 'base' | 'domain' | 'enum' | 'composite' | 'range' | 'multirange' | 'array' | 'pseudo';
  /** Of a domain, an array, a range or a multirange: the type it is made of. */
  of: string;
  /** With its length, as a domain has it: `character varying(8)`. */
  modified: string;
  labels: string[];
  /** Types of a composite type's attributes, and the same with their lengths. */
  attributes: string[];
  attributeTypes: string[];
  /** Definitions of a domain's checks. */
  checks: string[];
}

const query = (ids: string[]) => `
  select t.oid::text as id, t.typname::text as name,
    case
      when t.typcategory = 'A' and t.typelem <> 0 then 'array'
      else case t.typtype
        when 'd' then 'domain' when 'e' then 'enum' when 'c' then 'composite' when 'r' then 'range'
        when 'm' then 'multirange' when 'p' then 'pseudo' else 'base'
      end
    end as kind,
    case
      when t.typcategory = 'A' and t.typelem <> 0 then t.typelem
      when t.typtype = 'd' then t.typbasetype
      when t.typtype = 'r' then (select r.rngsubtype from pg_range r where r.rngtypid = t.oid)
      when t.typtype = 'm' then (select r.rngtypid from pg_range r where r.rngmultitypid = t.oid)
      else 0
    end::text as of,
    case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) else '' end as modified,
    array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels,
    array(
      select a.atttypid::text from pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      order by a.attnum
    ) as attributes,
    array(
      select format_type(a.atttypid, a.atttypmod) from pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      order by a.attnum
    ) as "attributeTypes",
    array(
      select pg_get_constraintdef(o.oid) from pg_constraint o where o.contypid = t.oid and o.contype = 'c'
    ) as checks
  from pg_type t
  where t.oid in (${literals(ids)})`;

/** Reads the types, and those that they are made of. */
export async function readTypes(session: Session, ids: string[]): Promise<Map<string, TypeInfo>> {
  const types = new Map<string, TypeInfo>();
  let wanted = [...new Set(ids)];
  while (wanted.length > 0) {
    const { rows } = await session.run(query(wanted));
    for (const row of rows as TypeInfo[]) types.set(row.id, row);
    wanted = [...new Set(rows.flatMap(({ of, attributes }: TypeInfo) => [of, ...attributes]))].filter(
      (id) => id !== '0' && !types.has(id),
    );
  }
  return types;
}
