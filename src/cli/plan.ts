import { type ConfigurationServices, planConfiguration } from '#src/domain/configuration/plan.ts';
import type { Configuration } from '#src/domain/configuration/schema.ts';
import { countChanges, presentChanges, summarise } from './changes.ts';
import type { Outcome } from './outcome.ts';

/** `tessera plan FILE`: what apply would do, without doing it. */
export async function plan(services: ConfigurationServices, configuration: Configuration): Promise<Outcome> {
  const changes = await planConfiguration(services, configuration);
  const summary = countChanges(changes);
  return {
    ok: true,
    document: { ok: true, changes, summary },
    text: (paint) =>
      `${presentChanges(changes, paint)}${summarise(summary, ['to create', 'to update', 'to erase'])}\n`,
  };
}
