import type { MailInput, MailKind } from '#src/domain/mail/messages.ts';
import type { Email, EmailContext } from '#views/emails/email.ts';
import { newDeviceEmail } from '#views/emails/new-device.ts';
import { passwordChangedEmail } from '#views/emails/password-changed.ts';
import { passwordStoppedEmail } from '#views/emails/password-stopped.ts';
import { sessionsEndedEmail } from '#views/emails/sessions-ended.ts';
import { signInAfterFailuresEmail } from '#views/emails/sign-in-after-failures.ts';
import { signInPausedEmail } from '#views/emails/sign-in-paused.ts';

/** How each kind of mail reads. A kind without an entry does not compile. */
const emails: { [Kind in MailKind]: (context: EmailContext, data: DataOf<Kind>) => Email } = {
  new_device: newDeviceEmail,
  sign_in_after_failures: signInAfterFailuresEmail,
  sign_in_paused: signInPausedEmail,
  password_stopped: passwordStoppedEmail,
  password_changed: passwordChangedEmail,
  sessions_ended: sessionsEndedEmail,
};

type DataOf<Kind extends MailKind> = Extract<MailInput, { kind: Kind }>['data'];

/** A mail's subject, text and HTML. Links lead to the issuer only. Throws on a kind that a newer release queued. */
export function renderMail<Kind extends MailKind>(
  { kind, data }: { kind: Kind; data: DataOf<Kind> },
  { workspace, issuer }: { workspace: string; issuer: string },
): Email {
  const render = Object.hasOwn(emails, kind) ? emails[kind] : undefined;
  if (!render) {
    throw new Error(`no mail of the kind ${kind} is known to this release`);
  }
  return render({ lang: 'en', product: 'Tessera', workspace, issuer }, data);
}
