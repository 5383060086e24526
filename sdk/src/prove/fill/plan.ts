import type { Column } from '../../catalogue/catalogue.ts';
import type { Refusal } from '../session.ts';
import { hintsOf } from './checks.ts';
import type { Rules, Wanted } from './row.ts';
import { candidates } from './values.ts';

interface Choice {
  column: Column;
  /** In order; `undefined` leaves the column to its default. */
  options: (string | null | undefined)[];
  at: number;
  fixed: boolean;
  renew(): (string | null | undefined)[];
}

export interface Plan {
  /** The values of the next try; what is left to its default is not in it. */
  values(): Map<string, string | null>;
  /** Changes what the refusal is about; false when it knows of nothing more. */
  change(refusal: Refusal): boolean;
}

const turnsPerConstraint = 90;

/** What to try for each column. A lean plan leaves out whatever may be left out. */
export function makePlan(rules: Rules, wanted: Wanted, lean: boolean): Plan {
  const { table, fixed, loose } = wanted;
  const choices = new Map<string, Choice>();
  for (const column of table.columns) {
    if (column.generated) continue;
    const settled = Object.hasOwn(fixed, column.name);
    const hints = hintsOf(rules.conditions(table, column));
    const renew = (): Choice['options'] => {
      if (settled) return loose.has(column.name) ? [fixed[column.name]!, null] : [fixed[column.name]!];
      const made = candidates(column, rules.types, hints);
      if (column.identity || column.default !== undefined) return [undefined, ...made];
      if (column.notNull) return made;
      return lean ? [undefined, ...made] : [...made, undefined];
    };
    choices.set(column.name, { column, options: renew(), at: 0, fixed: settled, renew });
  }
  const turns = new Map<string, number>();

  /** Goes on to the next combination of what these columns can be. */
  function advance(key: string, columns: string[], limit = turnsPerConstraint): boolean {
    const movable = columns
      .map((name) => choices.get(name))
      .filter((choice) => choice !== undefined && choice.options.length > 1) as Choice[];
    // What has a default has been thought about: it changes last.
    movable.sort((a, b) => Number(a.options[0] === undefined) - Number(b.options[0] === undefined));
    const turn = (turns.get(key) ?? 0) + 1;
    turns.set(key, turn);
    const all = movable.reduce((product, { options }) => product * options.length, 1);
    if (movable.length === 0 || turn >= Math.min(all, limit)) return false;
    let left = turn;
    for (const choice of movable) {
      choice.at = left % choice.options.length;
      left = Math.floor(left / choice.options.length);
    }
    return true;
  }

  function renew(key: string, columns: string[]): boolean {
    const open = columns.map((name) => choices.get(name)).filter((choice) => choice && !choice.fixed);
    const turn = (turns.get(key) ?? 0) + 1;
    turns.set(key, turn);
    if (open.length === 0 || turn > 40) return false;
    let changed = false;
    for (const choice of open as Choice[]) {
      const before = choice.options[choice.at];
      choice.options = choice.renew();
      if (before === undefined) choice.at = Math.min(1, choice.options.length - 1);
      changed ||= choice.options[choice.at] !== before;
    }
    return changed || advance(`${key} of few`, columns);
  }

  const names = () => [...choices.keys()];
  const withFew = () =>
    names().filter((name) => {
      const { options, fixed: settled } = choices.get(name)!;
      return !settled && options.length > 1 && options.length <= 12;
    });
  const ofValue = (message: string) =>
    names().filter((name) => {
      const { options, at, fixed: settled } = choices.get(name)!;
      const value = options[at];
      return !settled && value && message.includes(`"${value}"`);
    });
  const ofType = (pattern: RegExp) =>
    names().filter((name) => pattern.test(choices.get(name)!.column.type) && !choices.get(name)!.fixed);

  return {
    values: () =>
      new Map(
        [...choices].flatMap(([name, { options, at }]) =>
          options[at] === undefined ? [] : [[name, options[at]!] as const],
        ),
      ),
    change(refusal) {
      const { code, constraint, column, message } = refusal;
      const about = rules.columnsOf(table, constraint);
      const key = `${code} ${constraint ?? column ?? ''}`;
      switch (code) {
        case '23502':
          return column !== undefined && advance(key, [column]);
        case '23505':
        case '23P01':
          return renew(key, about);
        case '23503':
          return advance(
            key,
            about.filter((name) => loose.has(name)),
          );
        case '23514':
          return advance(key, about.length > 0 ? about : withFew());
        case '22001':
        case '22026':
          return advance(key, ofType(/char|bit/)) || advance('any', withFew());
        case '22003':
          return advance(key, ofType(/int|numeric|money|double|real/));
        case '42501':
        case '57014':
        case '55P03':
          return false;
      }
      const named = ofValue(message);
      if (named.length > 0) return advance(`${code} ${named[0]}`, [named[0]!]);
      return advance('any', withFew(), 30);
    },
  };
}
