import type { Costs } from './costs.ts';
import type { Flow } from './flows.ts';

export interface Measurement {
  perSecond: number;
  p50: number;
  p99: number;
  /** Processor time of the server for one operation. */
  cpu_ms: number;
  /** Of the server after the run, in bytes. */
  rss: number;
}

export interface Row {
  flow: Flow;
  tessera: Measurement;
  rs256: Measurement;
  es256: Measurement;
}

/** The rounds of one flow on one server as one: medians, and the least processor time. */
export function summarise(rounds: Measurement[]): Measurement {
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    cpu_ms: Math.min(...rounds.map(({ cpu_ms }) => cpu_ms)),
    rss: median(rounds.map(({ rss }) => rss)),
  };
}

/** The one in the middle. */
export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const whole = (value: number) => Math.round(value).toLocaleString('en');
const fixed = (value: number, digits: number) => value.toFixed(digits);

/** Speed beside the bare library, as Markdown. */
export function speedTable(rows: Row[]): string {
  return table(
    [
      'flow',
      'op/s',
      'p50 ms',
      'p99 ms',
      'RSS MB',
      'CPU ms/op',
      'bare RS256: op/s',
      'CPU ms/op',
      'bare ES256: op/s',
      'CPU ms/op',
      '× RS256',
      '× ES256',
      'to reach',
    ],
    rows.map(({ flow, tessera, rs256, es256 }) => [
      flow.title,
      whole(tessera.perSecond),
      fixed(tessera.p50, 1),
      fixed(tessera.p99, 1),
      whole(tessera.rss / 1024 / 1024),
      fixed(tessera.cpu_ms, 2),
      whole(rs256.perSecond),
      fixed(rs256.cpu_ms, 2),
      whole(es256.perSecond),
      fixed(es256.cpu_ms, 2),
      fixed(tessera.perSecond / rs256.perSecond, 2),
      fixed(tessera.perSecond / es256.perSecond, 2),
      verdict(flow, tessera.perSecond / rs256.perSecond, tessera.perSecond / es256.perSecond),
    ]),
  );
}

function verdict({ target }: Flow, rs256: number, es256: number): string {
  if (!target) {
    return '-';
  }
  const wanted = [`≥ ${target.rs256} RS256`, ...(target.es256 ? [`≥ ${target.es256} ES256`] : [])].join(', ');
  const reached = rs256 >= target.rs256 && (target.es256 === undefined || es256 >= target.es256);
  return `${wanted}: ${reached ? 'reached' : 'missed'}`;
}

/** What one operation costs, as Markdown. */
export function costTable(costs: Costs[]): string {
  return table(
    [
      'flow',
      'adapter calls',
      'database flights',
      'messages',
      'statements',
      'rows written',
      'signatures',
      'hashes',
    ],
    costs.map((cost) => [
      cost.flow,
      ...[
        cost.adapter_calls,
        cost.flights,
        cost.messages,
        cost.statements,
        cost.rowsWritten,
        cost.signatures,
        cost.hashes,
      ].map(String),
    ]),
  );
}

/** A Markdown table; all columns but the first are numbers. */
export function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  return (
    line(head) + line(head.map((_, column) => (column === 0 ? '---' : '---:'))) + rows.map(line).join('')
  );
}
