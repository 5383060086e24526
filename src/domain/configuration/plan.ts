import type { Database } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import type { PasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { Change } from './change.ts';
import { checkReferences, type Target } from './references.ts';
import type { Configuration } from './schema.ts';
import { listSections, type Section } from './sections.ts';
import { emptyState, readTenantState } from './state.ts';
import { planSection } from './steps.ts';
import { findPasswordChanges } from './user-step.ts';

/** What a configuration is planned and applied with; a part of Services. */
export interface ConfigurationServices {
  db: Database;
  hashing: PasswordHashing;
  now: () => Date;
}

/**
 * What `applyConfiguration` would do with the database as it is now, thing by thing in the order of the file. Throws a
 * ConfigurationError with everything that would be refused.
 */
export async function planConfiguration(
  services: ConfigurationServices,
  configuration: Configuration,
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const { section, state } of await findTargets(services.db, configuration)) {
    const passwords = await findPasswordChanges(section.users, state.users, services.hashing);
    const steps = planSection(section, state, { passwords, now: services.now() });
    changes.push(...steps.map(({ change }) => change));
  }
  return changes;
}

/** Every section with what the database holds of it, checked as a whole; the platform's comes first. */
export async function findTargets(
  db: Database,
  configuration: Configuration,
): Promise<[Target, ...Target[]]> {
  const [first, ...rest] = listSections(configuration);
  const targets: [Target, ...Target[]] = [await findTarget(db, first)];
  for (const section of rest) {
    targets.push(await findTarget(db, section));
  }
  await checkReferences(db, targets);
  return targets;
}

/** The section with what the database holds of it now. */
export async function findTarget(db: Database, section: Section): Promise<Target> {
  const tenant_id = section.tenant
    ? await findTenantIdInDirectory(db, 'slug', section.slug)
    : platformTenantId;
  const emails = section.users.map(({ email }) => email);
  const state =
    tenant_id === undefined
      ? emptyState
      : await withTenant(db, tenant_id, (tx) => readTenantState(tx, emails));
  return { section, tenant_id, state };
}
