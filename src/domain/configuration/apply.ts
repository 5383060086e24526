import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import type { Change, Step } from './change.ts';
import { ConfigurationError, formatPath } from './errors.ts';
import { type ConfigurationServices, findTarget, findTargets } from './plan.ts';
import { checkNames } from './references.ts';
import type { Configuration } from './schema.ts';
import type { Section } from './sections.ts';
import { lockUsers, readTenantState, type TenantState } from './state.ts';
import { planSection } from './steps.ts';
import { findPasswordChanges, hashPasswords } from './user-step.ts';

export interface Applied {
  changes: Change[];
  /** Secrets that were made because a client had none: shown now and never again. */
  generated: { client_id: string; client_secret: string }[];
}

/** Thrown when what a section was compared with is not there any more; another try compares anew. */
class ChangedMeanwhileError extends Error {
  override readonly name = 'ChangedMeanwhileError';
}

/** Another run of the same section holds its lock for two seconds at a time before we ask again. */
const maxAttempts = 30;

/**
 * Makes the database hold what the configuration says, one transaction per tenant, the platform first. What the file does not
 * name is left alone. Idempotent, safe to run twice at the same time, and to run again after it was killed half-way.
 *
 * Throws a ConfigurationError before it changes anything: `invalid`, or `conflict` when another tenant has a client_id or
 * domain; while it runs: `conflict` when such a name was taken meanwhile, `busy` when others kept changing the same tenant.
 */
export async function applyConfiguration(
  services: ConfigurationServices,
  configuration: Configuration,
): Promise<Applied> {
  const targets = await findTargets(services.db, configuration);
  const applied: Applied = { changes: [], generated: [] };
  for (const { section } of targets) {
    const steps = await applySection(services, section);
    applied.changes.push(...steps.map(({ change }) => change));
    applied.generated.push(...steps.flatMap(({ generated }) => generated ?? []));
  }
  return applied;
}

async function applySection(services: ConfigurationServices, section: Section): Promise<Step[]> {
  let failure: unknown;
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    try {
      return await tryToApply(services, section);
    } catch (error) {
      if (!isWorthAnotherTry(error)) {
        throw error;
      }
      failure = error;
    }
  }
  const problem = `${formatPath(section.path)}: others keep changing the same; nothing of it was changed`;
  throw new ConfigurationError('busy', [problem], { cause: failure });
}

async function tryToApply({ db, hashing, now }: ConfigurationServices, section: Section): Promise<Step[]> {
  const target = await findTarget(db, section);
  await checkNames(db, target);
  const changed = await findPasswordChanges(section.users, target.state.users, hashing);
  const passwords = await hashPasswords(changed, hashing);

  return withTenant(db, target.tenant_id ?? randomUUID(), async (tx) => {
    await lockSection(tx, section);
    const emails = section.users.map(({ email }) => email);
    await lockUsers(tx, emails);
    const state = await readTenantState(tx, emails);
    if (!holdsSamePasswords(target.state, state)) {
      throw new ChangedMeanwhileError('a user of the file was changed since passwords were compared');
    }
    const steps = planSection(section, state, { passwords, now: now() });
    for (const { change, perform } of steps) {
      if (change.action !== 'unchanged') {
        await perform(tx);
      }
    }
    return steps;
  });
}

/** Two runs of the same section go one after the other; the second then finds everything unchanged. */
async function lockSection(tx: TenantTx, { slug }: Section): Promise<void> {
  await sql`set local lock_timeout = '2s'`.execute(tx);
  await sql`select pg_advisory_xact_lock(hashtext('tessera apply'), hashtext(${slug}))`.execute(tx);
}

/** A password was compared with the one of that moment: a user may have another one since, be erased, or be somebody else. */
function holdsSamePasswords({ users: before }: TenantState, { users: after }: TenantState): boolean {
  return [...new Set([...before.keys(), ...after.keys()])].every((email) => {
    const [one, other] = [before.get(email), after.get(email)];
    return one?.id === other?.id && one?.password_hash === other?.password_hash;
  });
}

/** A name that was taken meanwhile (the next try says which, or finds it ours), a lock not got, a deadlock. */
function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof ChangedMeanwhileError) {
    return true;
  }
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && ['23505', '23503', '40001', '40P01', '55P03'].includes(code);
}
