import { createTransport } from 'nodemailer';
import { normaliseEmail } from './email.ts';

export interface OutgoingMail {
  /** A uuid, the same at each attempt, so that a mail that arrives twice can be told to be one. */
  id: string;
  /** An address, or a name and an address: `Tessera <no-reply@example.com>`. */
  from: string;
  /** One address. */
  to: string;
  date: Date;
  subject: string;
  text: string;
  html: string;
}

export type MailOutcome =
  | { ok: true }
  /** `reason` is a code of ours or of the library with the server's status, such as `EENVELOPE 550`; never its words. */
  | { ok: false; reason: string; permanent: boolean };

/** Takes a mail out of the house. */
export interface MailTransport {
  send(mail: OutgoingMail): Promise<MailOutcome>;
}

/** How long one attempt may take, from the look-up of the name to the server's last word. Milliseconds. */
const patienceMs = 10_000;

/**
 * SMTP by URL, a connection per mail. An attempt ends within ten seconds. `permanent` is what a server says of this mail
 * (a refused recipient or content, RFC 5321 section 4.2.1); what it says of us or of the moment may be tried again.
 */
export function makeSmtpTransport(url: string): MailTransport {
  const transport = createTransport({
    url,
    dnsTimeout: patienceMs / 2,
    connectionTimeout: patienceMs / 2,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
    socketCloseTimeout: 1_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(mail) {
      // The library reads an address as a list of them, and takes a line end for the end of one.
      if (normaliseEmail(mail.to) !== mail.to) {
        return { ok: false, reason: 'EADDRESS', permanent: true };
      }
      try {
        await transport.sendMail({ ...toMessage(mail), signal: AbortSignal.timeout(patienceMs) });
        return { ok: true };
      } catch (error) {
        return { ok: false, ...describeFailure(error) };
      }
    },
  };
}

/** The mail as it goes over the wire (RFC 5322), with CR LF. */
export async function composeMail(mail: OutgoingMail): Promise<Buffer> {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
  const { message } = await transport.sendMail({
    ...toMessage(mail),
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return message as Buffer;
}

function toMessage({ id, from, to, date, subject, text, html }: OutgoingMail) {
  const sender = from.slice(from.lastIndexOf('<') + 1).replace(/>.*$/, '');
  return {
    from,
    to,
    envelope: { from: sender, to: [to] },
    date,
    messageId: `<${id}@${sender.slice(sender.lastIndexOf('@') + 1)}>`,
    subject,
    text,
    html,
    // So that nobody's holiday answers (RFC 3834 section 5).
    headers: { 'auto-submitted': 'auto-generated' },
  };
}

function describeFailure(error: unknown): { reason: string; permanent: boolean } {
  const { code, responseCode, command, name } = error as Error & {
    code?: string;
    responseCode?: number;
    command?: string;
  };
  return {
    reason: [name === 'AbortError' || name === 'TimeoutError' ? 'ETIMEDOUT' : (code ?? name), responseCode]
      .filter((part) => part !== undefined)
      .join(' '),
    permanent: (responseCode ?? 0) >= 500 && ['RCPT TO', 'DATA'].includes(command ?? ''),
  };
}
