import type { Access } from '../explain/access.ts';
import type { Explanation } from '../explain/explain.ts';
import type { PlanReport } from '../explain/plan.ts';
import { count, printable, type Style, wrap } from './style.ts';

const margin = ' '.repeat(8);

/** What `rls explain` found, for people. Ends with a newline. */
export function explanationText(explanation: Explanation, style: Style): string {
  const { token, tenant, table, role, access, rows, findings } = explanation;
  const line = (name: string, text: string, paint = (words: string) => words) =>
    `${style.bold(name.padEnd(8))}${paint(wrap(text, margin).trimStart())}`;
  const width = Math.max(0, ...findings.map(({ rule }) => rule.length));
  const parts = [
    [
      line('Token', printable(token.sentence), token.accepted ? style.good : style.bad),
      ...members(token, style),
    ],
    tenant === undefined
      ? [line('Tenant', 'None: a token that is not accepted sets no tenant, and no row was asked for.')]
      : [line('Tenant', tenant)],
    access.length > 0 && [
      line('Table', `${printable(table)}, as the role ${printable(role)}`),
      ...accessLines(access),
    ],
    rows && [line('Rows', rowsSentence(explanation))],
    rows?.plan && [line('Plan', planSentence(rows.plan))],
    findings.length > 0 && [
      line(
        'Lint',
        `${count(findings.length, 'finding')} about this table and role; rls lint says how to mend it.`,
      ),
      ...findings.map(
        ({ rule, object }) => `${margin}${style.bad(rule.padEnd(width))}  ${printable(object)}`,
      ),
    ],
  ];
  return `${parts
    .filter((part) => part !== undefined && part !== false)
    .map((part) => part.join('\n'))
    .join('\n\n')}\n`;
}

function members({ code, header, claims }: Explanation['token'], style: Style): string[] {
  const shown = [
    ...(code === undefined ? [] : [['code', code] as [string, string]]),
    ...Object.entries(header ?? {}).map(([name, value]): [string, string] => [name, JSON.stringify(value)]),
    ...Object.entries(claims ?? {}).map(([name, value]): [string, string] => [name, inTime(name, value)]),
  ].map(([name, value]) => [printable(name), printable(value)] as const);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${margin}${style.dim(name.padEnd(width))}  ${value}`);
}

function inTime(name: string, value: unknown): string {
  const text = JSON.stringify(value);
  const isTime = ['exp', 'iat', 'nbf', 'auth_time'].includes(name) && typeof value === 'number';
  const date = new Date(Number(value) * 1000);
  return isTime && Number.isFinite(date.getTime()) ? `${text} (${date.toISOString()})` : text;
}

// Most tables let every command do the same.
function accessLines(access: Access[]): string[] {
  const said = access.map(({ sentence, policies }) => `${sentence}${inBrackets(policies)}`);
  return [...new Set(said)].map((sentence) => {
    const names = access.filter((_, index) => said[index] === sentence).map(({ command }) => command);
    return wrap(printable(`${names.join(', ')}: ${sentence}`), margin);
  });
}

const inBrackets = (names: string[]) => (names.length > 0 ? ` (${names.join(', ')})` : '');

function rowsSentence({ rows, access, estimatedRows }: Explanation): string {
  if (rows?.seen === undefined) return printable(`Unknown: ${rows?.refusal}.`);
  const reading = access.find(({ command }) => command === 'select');
  const whole = estimatedRows > rows.seen ? `, of about ${estimatedRows} in the table` : '';
  const whose = reading?.rows === 'all' ? ', whatever their tenant' : '';
  return `It sees ${count(rows.seen, 'row')}${whole}${whose}.`;
}

function planSentence({ cost, scans, indexes, usable, asks }: PlanReport): string {
  if (scans.length === 0) return `The table is not read: no row can pass; cost ${cost}.`;
  const index =
    indexes.length > 0
      ? `by the index ${indexes.join(', ')}`
      : usable.length > 0
        ? `without an index while the table is small; then by ${usable.join(', ')}`
        : 'without an index, however large the table';
  const asked =
    asks === 'never' ? 'no function is asked for the tenant' : `the policies ask for the tenant ${asks}`;
  return printable(`${scans.join(', ')}, ${index}; cost ${cost}; ${asked}.`);
}
