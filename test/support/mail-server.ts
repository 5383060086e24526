import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail {
  from: string;
  /** As the envelope says. */
  to: string[];
  /** The message, heads and all, with its line ends. */
  source: string;
}

/**
 * accept. refuse_recipient, refuse_content: 550 for this mail. busy: 451, come back later. silent: says nothing after the content,
 * until `release`.
 * forgetful: takes the mail, and the connection breaks before it says so.
 */
export type MailServerMode =
  | 'accept'
  | 'refuse_recipient'
  | 'refuse_content'
  | 'busy'
  | 'silent'
  | 'forgetful';

export interface MailServer {
  url: string;
  received: ReceivedMail[];
  set(mode: MailServerMode): void;
  /** Accepts what it was silent about. */
  release(): void;
  stop(): Promise<void>;
}

const answer = (responseCode: number) => Object.assign(new Error('not this one'), { responseCode });

/** A real SMTP server on this machine, which keeps what it gets. */
export async function startMailServer({ port = 0 }: { port?: number } = {}): Promise<MailServer> {
  const received: ReceivedMail[] = [];
  let mode: MailServerMode = 'accept';
  const held: (() => void)[] = [];
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    closeTimeout: 100,
    onRcptTo(_address, _session, callback) {
      callback(mode === 'refuse_recipient' ? answer(550) : null);
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.on('end', () => {
        if (mode === 'busy' || mode === 'refuse_content') {
          callback(answer(mode === 'busy' ? 451 : 550));
          return;
        }
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          source: Buffer.concat(chunks).toString('utf8'),
        });
        if (mode === 'accept') {
          callback(null);
        } else if (mode === 'silent') {
          held.push(() => callback(null));
        } else if (mode === 'forgetful') {
          // The library has no other way to break a connection.
          for (const one of (server as unknown as { connections: Set<{ close(): void }> }).connections) {
            one.close();
          }
        }
      });
    },
  });
  server.on('error', () => {});
  const listening = server.listen(port, '127.0.0.1');
  await once(listening, 'listening');
  return {
    url: `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`,
    received,
    set(next) {
      mode = next;
    },
    release() {
      for (const answerOne of held.splice(0)) {
        answerOne();
      }
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
