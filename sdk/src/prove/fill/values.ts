import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { type Hints, hintsOf } from './checks.ts';
import type { TypeInfo } from './types.ts';

const day = 86_400_000;
const names: [RegExp, () => string][] = [
  [/mail/i, () => `${word(10)}@example.test`],
  [/url|uri|website|link/i, () => `https://${word(10)}.example.test/`],
  [/phone|mobile/i, () => `+49${randomInt(10 ** 9, 10 ** 10)}`],
  [/domain|host/i, () => `${word(10)}.example.test`],
  [/country/i, () => 'DE'],
  [/currency/i, () => 'EUR'],
  [/locale|lang/i, () => 'en'],
  [/zone/i, () => 'UTC'],
];

/** Letters and digits that stand nowhere else, a letter first. */
export function word(length: number): string {
  const text = `z${randomBytes(Math.ceil(length / 2)).toString('hex')}`;
  return text.slice(0, Math.max(length, 1));
}

/**
 * Values for a column as texts, the likeliest first; PostgreSQL judges them. `again` gives others for what must
 * differ from row to row. Types nobody has heard of get what many types take.
 */
export function candidates(
  column: { name: string; type: string; typeId: string },
  types: Map<string, TypeInfo>,
  hints: Hints,
): string[] {
  const type = types.get(column.typeId);
  const made = ofType(type, column.type, types, hints, column.name);
  const values = [...hints.patterns, ...made];
  return [...new Set([...values, ...hints.values])].slice(0, 40);
}

function ofType(
  type: TypeInfo | undefined,
  modified: string,
  types: Map<string, TypeInfo>,
  hints: Hints,
  name: string,
): string[] {
  if (!type) return ['', '0', '{}'];
  const inner = (id: string, more = hints, as = '') => ofType(types.get(id), as, types, more, name);
  switch (type.kind) {
    case 'enum':
      return type.labels;
    case 'domain': {
      const own = hintsOf(type.checks);
      const both: Hints = {
        values: [...hints.values, ...own.values],
        patterns: [...hints.patterns, ...own.patterns],
        lengths: [...hints.lengths, ...own.lengths],
        bounds: [...hints.bounds, ...own.bounds],
      };
      return [
        ...own.patterns,
        ...ofType(types.get(type.of), type.modified, types, both, name),
        ...own.values,
      ];
    }
    case 'array': {
      const elements = [
        ...hints.patterns,
        ...inner(type.of, { ...hints, lengths: [] }, modified.replace('[]', '')),
        ...hints.values,
      ];
      const counts = [...new Set([1, ...hints.lengths.filter((count) => count > 0 && count < 50), 2])];
      const delimiter = types.get(type.of)?.name === 'box' ? ';' : ',';
      return [
        ...elements
          .slice(0, 12)
          .flatMap((element) =>
            (element === elements[0] ? counts : [1]).map(
              (count) => `{${Array.from({ length: count }, () => inArray(element)).join(delimiter)}}`,
            ),
          ),
        '{}',
      ];
    }
    case 'composite':
      return [
        `(${type.attributes.map((id, index) => inRow(inner(id, none, type.attributeTypes[index])[0] ?? '')).join(',')})`,
      ];
    case 'range': {
      const [low] = inner(type.of);
      const above = low !== undefined && ofType(types.get(type.of), '', types, none, 'above')[0];
      return [
        `[${inRow(low ?? '')},)`,
        ...(above && low ? [`[${[low, above].sort().map(inRow).join(',')}]`] : []),
        'empty',
      ];
    }
    case 'multirange':
      return [...inner(type.of).map((range) => `{${range}}`), '{}'];
    default:
      return ofBase(type.name, modified, hints, name);
  }
}

export const none: Hints = { values: [], patterns: [], lengths: [], bounds: [] };

const inArray = (value: string) => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const inRow = (value: string) =>
  value === '' ? '' : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '""')}"`;

function ofBase(type: string, modified: string, hints: Hints, name: string): string[] {
  const [, first, second] = /\((\d+)(?:,(-?\d+))?\)/.exec(modified) ?? [];
  const size = first === undefined ? undefined : Number(first);
  switch (type) {
    case 'uuid':
      return [randomUUID()];
    case 'bool':
      return ['true', 'false'];
    case 'int2':
      return numbers(hints, 30_000, 0);
    case 'int4':
    case 'oid':
      return numbers(hints, 2_000_000_000, 0);
    case 'int8':
    case 'xid8':
      return numbers(hints, 2 ** 47, 0);
    case 'numeric': {
      const scale = Number(second ?? 0);
      const whole = size === undefined ? 9 : size - scale;
      return numbers(hints, 10 ** Math.min(whole, 12), size === undefined ? 9 : Math.min(scale, 9));
    }
    case 'float4':
    case 'float8':
    case 'money':
      return numbers(hints, 1_000_000, 2);
    case 'text':
    case 'varchar':
    case 'bpchar':
    case 'citext':
    case 'name':
      return texts(hints, type === 'name' ? 63 : type === 'bpchar' ? (size ?? 1) : size, name);
    case 'char':
      return ['a'];
    case 'bytea':
      return [...new Set([...hints.lengths.filter((length) => length >= 0 && length < 10_000), 16])].map(
        (length) => `\\x${randomBytes(length).toString('hex')}`,
      );
    case 'date':
      return dates(hints, (date) => date.slice(0, 10));
    case 'timestamp':
    case 'timestamptz':
      return dates(hints, (date) => date);
    case 'time':
      return [`${String(randomInt(10, 24))}:00:00`];
    case 'timetz':
      return [`${String(randomInt(10, 24))}:00:00+00`];
    case 'interval':
      return ['1 day', '1 hour', '0'];
    case 'json':
    case 'jsonb':
      return [
        `{"${word(12)}": 1}`,
        ...hints.values.slice(0, 5).map((key) => JSON.stringify({ [key]: word(6) })),
        ...hints.values.slice(0, 5).map((key) => JSON.stringify({ [key]: 1 })),
        `["${word(12)}"]`,
        '{}',
        '[]',
        `"${word(6)}"`,
        '1',
        'true',
      ];
    case 'xml':
      return [`<a>${word(12)}</a>`];
    case 'inet':
      return [`10.${randomInt(256)}.${randomInt(256)}.${randomInt(1, 255)}`];
    case 'cidr':
      return [`10.${randomInt(256)}.${randomInt(256)}.0/24`];
    case 'macaddr':
      return [`02:${colons(5)}`];
    case 'macaddr8':
      return [`02:${colons(7)}`];
    case 'bit':
      return [bits(size ?? 1)];
    case 'varbit':
      return [bits(Math.min(size ?? 16, 16))];
    case 'tsvector':
      return [word(12)];
    case 'tsquery':
      return [word(12)];
    case 'point':
      return [`(${randomInt(1000)},${randomInt(1000)})`];
    case 'line':
      return ['{1,-1,0}'];
    case 'lseg':
    case 'path':
      return ['[(0,0),(1,1)]'];
    case 'box':
      return ['(1,1),(0,0)'];
    case 'polygon':
      return ['((0,0),(1,0),(1,1))'];
    case 'circle':
      return [`<(0,0),${randomInt(1, 1000)}>`];
    case 'pg_lsn':
      return ['0/16B3748'];
    case 'hstore':
      return [`"${word(12)}"=>"1"`];
    case 'ltree':
      return [`a.${word(12)}`];
    case 'vector':
    case 'halfvec':
      return [`[${Array.from({ length: size ?? 3 }, () => randomInt(100)).join(',')}]`];
    case 'geometry':
    case 'geography':
      return [
        'POINT(1 1)',
        'POLYGON((0 0, 1 0, 1 1, 0 0))',
        'LINESTRING(0 0, 1 1)',
        'MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))',
      ];
    default:
      return ['', '0', word(8), '{}', '1'];
  }
}

const colons = (count: number) => randomBytes(count).toString('hex').match(/../g)!.join(':');
const bits = (count: number) => Array.from({ length: count }, () => randomInt(2)).join('');

function numbers({ bounds, values, lengths }: Hints, below: number, scale: number): string[] {
  const own = below <= 1 ? `0.${randomInt(1, 10 ** scale)}` : String(randomInt(1, Math.max(2, below)));
  const limits = bounds.filter(({ value }) => /^-?[\d.]+$/.test(value));
  const low = limits.filter(({ above }) => above).map(({ value }) => Number(value));
  const high = limits.filter(({ above }) => !above).map(({ value }) => Number(value));
  const [least, most] = [low.length > 0 ? Math.max(...low) : 0, Math.min(...high, below)];
  const between =
    limits.length > 0 && most - least >= 2
      ? [
          String(
            Math.floor(least) + 1 + randomInt(Math.min(Math.max(1, Math.floor(most - least) - 1), 2 ** 40)),
          ),
        ]
      : [];
  return [
    ...between,
    own,
    ...limits.flatMap(({ value }) =>
      [0, 1, -1, ...(scale > 0 ? [0.5, -0.5] : [])].map((step) => String(Number(value) + step)),
    ),
    ...values.filter((value) => /^-?[\d.]+$/.test(value)),
    ...lengths.map(String),
    '1',
    '0',
    '-1',
    ...(scale > 0 ? ['0.5'] : []),
    String(randomInt(1, 100)),
  ];
}

function texts({ lengths, values }: Hints, size: number | undefined, name: string): string[] {
  const fit = (text: string) => (size === undefined ? text : text.slice(0, size));
  const limit = Math.min(size ?? 24, 24, ...lengths.filter((length) => length > 0));
  const named = names.find(([form]) => form.test(name))?.[1]();
  return [
    ...(named && (size === undefined || named.length <= size) && lengths.length === 0 ? [named] : []),
    word(limit),
    ...lengths
      .filter((length) => length > 0 && length < 5_000)
      .map((length) => fit(word(2).repeat(length).slice(0, length))),
    ...(named ? [named] : []),
    ...values.filter((value) => value !== ''),
    word(limit).toUpperCase(),
    String(randomInt(1, 10 ** Math.min(limit, 9))),
    `/${word(Math.max(1, limit - 1))}`,
    `#${randomBytes(3).toString('hex')}`,
    `${word(8)}@example.test`,
    `https://${word(8)}.example.test`,
    '+491512345678',
    'a',
    '',
  ].map(fit);
}

function dates({ bounds }: Hints, form: (date: string) => string): string[] {
  const at = (time: number) => form(new Date(time).toISOString());
  const limits = bounds.map(({ value }) => Date.parse(value)).filter((time) => !Number.isNaN(time));
  return [
    ...bounds
      .filter(({ value }) => !Number.isNaN(Date.parse(value)))
      .map(({ value, above }) => at(Date.parse(value) + (above ? day : -day))),
    at(Date.now() + randomInt(day, 300 * day)),
    at(Date.now() - randomInt(day, 300 * day)),
    ...limits.flatMap((time) => [at(time), at(time + 3_600_000), at(time - 3_600_000)]),
  ];
}
