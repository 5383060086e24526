import type { Change } from '#src/domain/configuration/change.ts';
import type { Paint } from '#src/lib/paint.ts';
import { alignColumns } from './outcome.ts';

const signs = { create: '+', update: '~' } as const;
const styles = { create: 'green', update: 'yellow' } as const;

/** How many things are made, changed and left. */
export function countChanges(changes: readonly Change[]) {
  const count = (action: Change['action']) => changes.filter((change) => change.action === action).length;
  return { create: count('create'), update: count('update'), unchanged: count('unchanged') };
}

/** A line per thing that is made or changed; what is unchanged is only counted. */
export function presentChanges(changes: readonly Change[], paint: Paint): string {
  const shown = changes.filter(
    (change): change is Change & { action: 'create' | 'update' } => change.action !== 'unchanged',
  );
  const lines = alignColumns(
    shown.map(({ tenant = 'platform', kind, name, fields = [] }) => [tenant, kind, name, fields.join(', ')]),
  );
  return shown
    .map(({ action }, index) => paint(styles[action], `  ${signs[action]} ${lines[index]}\n`))
    .join('');
}
