import { type ConfigurationServices, planConfiguration } from '#src/domain/configuration/plan.ts';
import type { Configuration } from '#src/domain/configuration/schema.ts';
import { countChanges, presentChanges } from './changes.ts';
import type { Outcome } from './outcome.ts';

/** `tessera plan FILE`: what apply would do, without doing it. */
export async function plan(services: ConfigurationServices, configuration: Configuration): Promise<Outcome> {
  const changes = await planConfiguration(services, configuration);
  const { create, update, unchanged } = countChanges(changes);
  return {
    ok: true,
    document: { ok: true, changes, summary: { create, update, unchanged } },
    text: (paint) =>
      `${presentChanges(changes, paint)}${create} to create, ${update} to update, ${unchanged} unchanged\n`,
  };
}
