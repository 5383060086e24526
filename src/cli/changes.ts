import type { Change } from '#src/domain/configuration/change.ts';
import type { Paint } from '#src/lib/paint.ts';
import { alignColumns } from './outcome.ts';

const signs = { create: '+', update: '~', erase: '-' } as const;
const styles = { create: 'green', update: 'yellow', erase: 'red' } as const;

/** How many things are made, changed, erased and left. */
export function countChanges(changes: readonly Change[]) {
  const count = (action: Change['action']) => changes.filter((change) => change.action === action).length;
  return {
    create: count('create'),
    update: count('update'),
    erase: count('erase'),
    unchanged: count('unchanged'),
  };
}

/** The counts in a line, each with its word; erasures, which are rare, only where there are some. */
export function summarise(
  { create, update, erase, unchanged }: ReturnType<typeof countChanges>,
  [created, updated, erased]: readonly [string, string, string],
): string {
  return [
    `${create} ${created}`,
    `${update} ${updated}`,
    ...(erase > 0 ? [`${erase} ${erased}`] : []),
    `${unchanged} unchanged`,
  ].join(', ');
}

/** A line per thing that is made, changed or erased; what is unchanged is only counted. */
export function presentChanges(changes: readonly Change[], paint: Paint): string {
  const shown = changes.filter(
    (change): change is Change & { action: keyof typeof signs } => change.action !== 'unchanged',
  );
  const lines = alignColumns(
    shown.map(({ tenant = 'platform', kind, name, fields = [] }) => [tenant, kind, name, fields.join(', ')]),
  );
  return shown
    .map(({ action }, index) => paint(styles[action], `  ${signs[action]} ${lines[index]}\n`))
    .join('');
}
