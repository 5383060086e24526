import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import type { ConfigurationServices } from '#src/domain/configuration/plan.ts';
import type { Configuration } from '#src/domain/configuration/schema.ts';
import type { Paint } from '#src/lib/paint.ts';
import { countChanges, presentChanges, summarise } from './changes.ts';
import { alignColumns, type Outcome } from './outcome.ts';

/** `tessera apply FILE`: makes the database hold what the file says and shows the secrets that were made, this once. */
export async function apply(services: ConfigurationServices, configuration: Configuration): Promise<Outcome> {
  const { changes, generated } = await applyConfiguration(services, configuration);
  const summary = countChanges(changes);
  return {
    ok: true,
    document: { ok: true, changes, summary, generated_secrets: generated },
    text: (paint) =>
      [
        presentChanges(changes, paint),
        `${summarise(summary, ['created', 'updated', 'erased'])}\n`,
        presentSecrets(generated, paint),
      ].join(''),
  };
}

function presentSecrets(generated: { client_id: string; client_secret: string }[], paint: Paint): string {
  if (generated.length === 0) {
    return '';
  }
  const lines = alignColumns(generated.map(({ client_id, client_secret }) => [client_id, client_secret]));
  return `\n${paint('bold', 'New client secrets, shown only now:')}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
