import { migrate } from '#src/database/migrate.ts';
import type { OpenedDatabase } from '#src/database/open.ts';
import type { Outcome } from './outcome.ts';

/** `tessera migrate`: applies what is missing and grants the runtime role its rights. Throws MigrationError. */
export async function migrateDatabase({
  ownerUrl,
  runtimeRole,
  runtimeUrl,
}: Pick<OpenedDatabase, 'ownerUrl' | 'runtimeRole' | 'runtimeUrl'>): Promise<Outcome> {
  const { applied } = await migrate({
    url: ownerUrl ?? runtimeUrl,
    runtimeRole,
    runtimePassword: decodeURIComponent(new URL(runtimeUrl).password),
  });
  return {
    ok: true,
    document: { ok: true, applied },
    text: (paint) =>
      applied.length === 0
        ? 'The database is up to date.\n'
        : applied.map((name) => `${paint('green', '+')} ${name}\n`).join(''),
  };
}
