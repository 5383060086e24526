import { randomUUID } from 'node:crypto';
import type { JobOptions, JobQueue } from '#src/database/job-queue.ts';
import { type TenantTx, tenantIdOf } from '#src/database/tenant.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { type MasterKey, open, seal } from '#src/lib/master-key.ts';
import type { MailInput } from './messages.ts';

export const mailQueue = 'mail';

/** Tried for about a day: after 15 to 30 seconds, then twice as long each time, then every hour. */
export const mailJob: JobOptions = {
  retryLimit: 30,
  retryDelay: 15,
  retryDelayMax: 3_600,
  // An attempt ends within ten seconds; what is left after a minute is of a process that was killed.
  expireInSeconds: 60,
};

export type StoredMail = MailInput & { id: string; attempts: number };

/**
 * Queues a mail as part of the transaction: it is sent when that commits, and never when it does not. Address and content are
 * sealed. Throws when `to` is not one plain address as `normaliseEmail` gives it.
 */
export async function queueMail(
  tx: TenantTx,
  { to, user_id, kind, data }: MailInput,
  { masterKeys, jobQueue }: { masterKeys: readonly MasterKey[]; jobQueue: Pick<JobQueue, 'send'> },
): Promise<void> {
  if (typeof to !== 'string' || normaliseEmail(to) !== to) {
    throw new Error('a mail goes to one address, in its stored form');
  }
  const id = randomUUID();
  const message = Buffer.from(JSON.stringify({ to, data }));
  // Both leave in one flight.
  await Promise.all([
    tx
      .insertInto('mails')
      .values({
        id,
        kind,
        user_id: user_id ?? null,
        sealed_message: seal(masterKeys, message, placeOf(tx, id)),
      })
      .execute(),
    jobQueue.send(tx, mailQueue, { tenant_id: tenantIdOf(tx), id }, mailJob),
  ]);
}

/**
 * The mail for one more attempt, which is counted; undefined when it was sent, given up, or went with its user. Throws a
 * SealError when its master key is gone.
 */
export async function takeMail(
  tx: TenantTx,
  id: string,
  masterKeys: readonly MasterKey[],
): Promise<StoredMail | undefined> {
  const row = await tx
    .updateTable('mails')
    .set(({ eb }) => ({ attempts: eb('attempts', '+', 1) }))
    .where('id', '=', id)
    .returning(['kind', 'user_id', 'sealed_message', 'attempts'])
    .executeTakeFirst();
  if (!row) {
    return undefined;
  }
  const message = JSON.parse(open(masterKeys, row.sealed_message, placeOf(tx, id)).toString('utf8'));
  return { id, attempts: row.attempts, kind: row.kind, user_id: row.user_id ?? undefined, ...message };
}

/** Notes the code that an attempt failed with. */
export async function noteMailFailure(tx: TenantTx, id: string, reason: string): Promise<void> {
  await tx.updateTable('mails').set({ last_error: reason }).where('id', '=', id).execute();
}

/** Forgets a mail that was sent or is given up. */
export async function removeMail(tx: TenantTx, id: string): Promise<void> {
  await tx.deleteFrom('mails').where('id', '=', id).execute();
}

const placeOf = (tx: TenantTx, id: string) => ({
  tenant_id: tenantIdOf(tx),
  table: 'mails',
  column: 'sealed_message',
  row: id,
});
