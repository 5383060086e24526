import type { Fixture } from './fixture.ts';
import { runStatements } from './postgres.ts';

/** True once a transaction waits for another one's row; else undefined. */
export async function isSomebodyWaiting({ urls }: Pick<Fixture, 'urls'>): Promise<true | undefined> {
  const rows = await runStatements(urls.superUrl, [
    `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and wait_event in ('transactionid', 'tuple')`,
  ]);
  return rows.length > 0 || undefined;
}

/** All users of a tenant with their roles, by address, without what the database made up. */
export async function listStoredUsers(
  { urls }: Pick<Fixture, 'urls'>,
  tenant_id: string,
): Promise<Record<string, unknown>[]> {
  return runStatements(urls.superUrl, [
    `select email, name, email_verified, password_hash, status,
      array(select role_name from user_roles r where (r.tenant_id, r.user_id) = (u.tenant_id, u.id) order by 1) as roles
    from users u where tenant_id = '${tenant_id}' order by email`,
  ]);
}
