import type pg from 'pg';
import type { Table } from '../../catalogue/catalogue.ts';
import type { Schema } from '../../lint/schema.ts';
import type { Filled, Pair } from '../fill/fill.ts';
import type { Row, Rules } from '../fill/row.ts';
import type { Breach } from '../findings.ts';
import type { Attempt, Control } from '../report.ts';
import type { Outcome, Refusal, Session } from '../session.ts';

/** A name that rows can be reached by: a table, a partition, a parent. */
export interface Subject {
  /** As findings print it. */
  name: string;
  table: Table;
  /** Rows of the two tenants that are seen by this name. */
  a: Row;
  b: Row;
  /** Those of the two that are there: a partition may have one. */
  there: Row[];
  pair: Pair;
}

/** Through or not, in words. */
export interface Verdict {
  through: boolean;
  detail: string;
  /** What let it through, when that is another thing than was tried. */
  breach?: Breach;
}

export interface Trying {
  table: string;
  /** One statement may try several things: the verdicts come in the same order. */
  what: string | string[];
  as: string;
  statements: string[];
  /** Lines for a `copy … from stdin` that the statements end with. */
  lines?: string;
  /** Which result is judged, counted from the end. */
  answer?: number;
  judge(result: pg.QueryResult, outcome: Outcome): Verdict | Verdict[];
  /** What a refusal tells, when it tells something. */
  told?(refusal: Refusal, notices: string[]): Verdict | undefined;
  breach: Breach;
}

/** What the attempts work with, and where they write down what came of them. */
export interface Trial {
  session: Session;
  schema: Schema;
  rules: Rules;
  filled: Filled;
  subjects: Subject[];
  attempts: Attempt[];
  controls: Control[];
  breaches: { attempt: Attempt; breach: Breach }[];
  /** Tables to which a tenant can add a row of its own. */
  insertable: Set<string>;
  /** Names about which nothing is proved, and why. */
  unproved: Map<string, string>;
  notes: Set<string>;
  try(trying: Trying): Promise<Outcome>;
  /** Writes down what was tried in another way. */
  record(attempt: Attempt, breach: Breach): void;
}

/** Refusals that say nothing about policies: a busy table, a statement that this package got wrong. */
const unsaid = /^(57014|55P03|40P01|53...|54...|XX...|42601|42703|42804|42846|42702|42P18)$/;

/** The part of a trial that writes down. */
export function makeTrial(base: Pick<Trial, 'session' | 'schema' | 'rules' | 'filled' | 'subjects'>): Trial {
  const trial: Trial = {
    ...base,
    attempts: [],
    controls: [],
    breaches: [],
    insertable: new Set(),
    unproved: new Map(),
    notes: new Set(),
    record(attempt, breach) {
      trial.attempts.push(attempt);
      if (attempt.outcome === 'got through') trial.breaches.push({ attempt, breach });
    },
    async try({ table, what, as, statements, lines, answer = 0, judge, told, breach }) {
      const outcome = await (lines === undefined
        ? base.session.attempt(statements)
        : base.session.attemptCopy(statements, lines));
      const whats = [what].flat();
      const write = (
        name: string,
        outcome: Attempt['outcome'],
        { detail, breach: other }: Omit<Verdict, 'through'>,
      ) => trial.record({ table, what: name, as, outcome, detail }, other ?? breach);
      if (outcome.error) {
        const { code, message } = outcome.error;
        const verdict = told?.(outcome.error, outcome.notices);
        if (!verdict && unsaid.test(code)) trial.unproved.set(table, `${whats[0]}: ${message}`);
        for (const name of whats) {
          write(name, verdict?.through ? 'got through' : 'refused', verdict ?? { detail: message });
        }
        return outcome;
      }
      const verdicts = [judge(outcome.results.at(-1 - answer)!, outcome)].flat();
      whats.forEach((name, index) => {
        const verdict = verdicts[index] ?? verdicts[0]!;
        write(name, verdict.through ? 'got through' : 'nothing', verdict);
      });
      return outcome;
    },
  };
  return trial;
}

/** Rows that a statement reached: one is too many. */
export function reached(result: pg.QueryResult): Verdict {
  const count = result.rowCount ?? 0;
  return { through: count > 0, detail: rows(count) };
}

/** `no rows`, `1 row`. */
export function rows(count: number): string {
  return count === 0 ? 'no rows' : count === 1 ? '1 row' : `${count} rows`;
}
