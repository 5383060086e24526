import type { JobQueue } from '#src/database/job-queue.ts';
import type { TenantTx } from '#src/database/tenant.ts';
import type { MailTransport } from '#src/lib/mail-transport.ts';
import { type Mailbox, makeMailbox } from '#src/lib/mailbox.ts';
import type { MasterKey } from '#src/lib/master-key.ts';
import { queueMail } from './mails.ts';
import type { MailInput } from './messages.ts';

export interface Mail {
  /** Queues a mail in the caller's transaction; does nothing where mail cannot leave. As of `queueMail`. */
  queue(tx: TenantTx, message: MailInput): Promise<void>;
  /** The way out; undefined when there is none. */
  transport: MailTransport | undefined;
  /** The transport, where it is a folder of this machine: mail can be looked at there. */
  mailbox: Mailbox | undefined;
}

/** Mail leaves by the transport given, else ends in a mailbox in `mailboxFolder`, else is not even queued. */
export function makeMail({
  masterKeys,
  jobQueue,
  smtp,
  mailboxFolder,
}: {
  masterKeys: readonly MasterKey[];
  jobQueue: JobQueue;
  smtp: MailTransport | undefined;
  mailboxFolder: string | undefined;
}): Mail {
  const mailbox = smtp || mailboxFolder === undefined ? undefined : makeMailbox(mailboxFolder);
  const transport = smtp ?? mailbox;
  return {
    async queue(tx, message) {
      if (transport) {
        await queueMail(tx, message, { masterKeys, jobQueue });
      }
    },
    transport,
    mailbox,
  };
}
