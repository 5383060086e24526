import { withTenant } from '#src/database/tenant.ts';
import {
  mailJob,
  mailQueue,
  noteMailFailure,
  removeMail,
  type StoredMail,
  takeMail,
} from '#src/domain/mail/mails.ts';
import { findTenant } from '#src/domain/tenants/tenants.ts';
import type { MailOutcome } from '#src/lib/mail-transport.ts';
import { SealError } from '#src/lib/master-key.ts';
import type { Services } from '#src/services.ts';
import { renderMail } from './render-mail.ts';

type Sender = Pick<Services, 'config' | 'db' | 'jobQueue' | 'log' | 'mail' | 'now'>;

/** Side by side: a server that is slow with one mail does not hold up the others, and we do not crowd it. */
const batchSize = 5;

/** Sends what is queued, on every node, each mail by one of them. Says by name what is missing when mail cannot leave. */
export async function startSendingMail(services: Sender): Promise<void> {
  const { config, jobQueue, log, mail } = services;
  if (!mail.transport) {
    log.warn('no mail is sent, not even about the safety of an account: set SMTP_URL and MAIL_FROM');
    return;
  }
  if (mail.mailbox) {
    log.info(`mail is kept here: ${config.issuer}/dev/mail shows it, SMTP_URL sends it`);
  }
  await jobQueue.work(mailQueue, { ...mailJob, batchSize }, ({ data, last }) =>
    sendMail(services, { ...data, last }),
  );
}

/**
 * One attempt. Gives whether the mail is done with: it was taken, refused for good or given up, or is there no more. A mail
 * that a server took is done whatever happens to its row, so that it does not arrive twice.
 */
async function sendMail(
  { config, db, log, mail, now }: Sender,
  { tenant_id, id, last }: { tenant_id: string; id: string; last: boolean },
): Promise<boolean> {
  const inTenant = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
    withTenant(db, tenant_id, work, { aux: true });
  let kind: string | undefined;
  let attempts: number | undefined;
  const outcome = await attempt().catch((error: unknown): MailOutcome => {
    log.error({ err: error, tenant_id, mail_id: id }, 'a mail could not be made');
    return { ok: false, reason: error instanceof SealError ? error.code : 'internal', permanent: false };
  });
  if (!outcome) {
    return true;
  }
  const about = { tenant_id, mail_id: id, kind, attempts };
  if (outcome.ok) {
    log.info({ event: 'mail.sent', ...about }, 'mail sent');
    await inTenant((tx) => removeMail(tx, id)).catch((err: unknown) =>
      log.warn({ err, ...about }, 'a mail that was sent could not be forgotten'),
    );
    return true;
  }
  if (outcome.permanent || last) {
    await inTenant((tx) => removeMail(tx, id));
    log.error({ event: 'mail.given_up', reason: outcome.reason, ...about }, 'a mail was given up');
    return true;
  }
  log.warn({ event: 'mail.deferred', reason: outcome.reason, ...about }, 'a mail is tried again later');
  await inTenant((tx) => noteMailFailure(tx, id, outcome.reason));
  return false;

  async function attempt(): Promise<MailOutcome | undefined> {
    const { stored, workspace } = await inTenant(async (tx) => ({
      stored: await takeMail(tx, id, config.masterKeys),
      workspace: (await findTenant(tx))?.name ?? '',
    }));
    if (!stored) {
      return undefined;
    }
    ({ kind, attempts } = stored satisfies StoredMail);
    const { subject, text, html } = renderMail(stored, { workspace, issuer: config.issuer });
    const from = config.smtp?.from ?? `Tessera <no-reply@${new URL(config.issuer).hostname}>`;
    return mail.transport!.send({ id, from, to: stored.to, date: now(), subject, text, html });
  }
}
