import type { BindingResult } from './argon2.ts';
import type { LoginRound, Placement } from './logins.ts';
import { median, table } from './tables.ts';

/** Medians of the rounds, a column for each placement, as Markdown. */
export function loginTable(measured: { placement: Placement; rounds: LoginRound[] }[]): string {
  const row = (title: string, digits: number, read: (round: LoginRound) => number) => [
    title,
    ...measured.map(({ rounds }) => median(rounds.map(read)).toFixed(digits)),
  ];
  return table(
    ['', ...measured.map(({ placement }) => placement.title)],
    [
      row('argon2id/s, as many at once as the server hashes', 1, ({ raw }) => raw.lanes),
      row('argon2id/s, one on each of its cores', 1, ({ raw }) => raw.cores),
      row('sign-ins/s', 1, ({ signIns }) => signIns.perSecond),
      row('share of the first', 2, ({ raw, signIns }) => signIns.perSecond / raw.lanes),
      row('share of the second', 2, ({ raw, signIns }) => signIns.perSecond / raw.cores),
      row('p50 ms of a sign-in', 0, ({ signIns }) => signIns.p50),
      row('p99 ms of a sign-in', 0, ({ signIns }) => signIns.p99),
      row('server CPU ms of a sign-in, its hash included', 1, ({ cpu_ms }) => cpu_ms),
      ...(['paced', 'saturated'] as const).flatMap((pace) => {
        const title =
          pace === 'paced' ? 'client credentials, 100 a second' : 'client credentials, closed loop';
        return [
          row(`${title}: p50 ms idle`, 1, (round) => round[pace].idle.p50),
          row(`${title}: p50 ms in the flood`, 1, (round) => round[pace].flooded.p50),
          row(`${title}: p99 ms idle`, 1, (round) => round[pace].idle.p99),
          row(`${title}: p99 ms in the flood`, 1, (round) => round[pace].flooded.p99),
          row(`${title}: ratio of the p99`, 1, (round) => round[pace].flooded.p99 / round[pace].idle.p99),
        ];
      }),
      row('closed loop: tokens/s idle', 0, ({ saturated }) => saturated.idle.perSecond),
      row('closed loop: tokens/s in the flood', 0, ({ saturated }) => saturated.flooded.perSecond),
      row('closed loop: sign-ins/s beside them', 1, ({ besideMachines }) => besideMachines.perSecond),
      row('closed loop: sign-ins turned away', 0, ({ besideMachines }) => besideMachines.busy),
    ],
  );
}

/** The bindings of argon2id, as Markdown. */
export function bindingTable(results: BindingResult[]): string {
  return table(
    ['binding', 'serial ms', 'serial hashes/s', 'parallel hashes/s'],
    results.map(({ name, serial, parallel }) => [
      name,
      (1000 / serial).toFixed(1),
      serial.toFixed(0),
      parallel.toFixed(0),
    ]),
  );
}
