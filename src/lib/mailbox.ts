import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { composeMail, type MailTransport, type OutgoingMail } from './mail-transport.ts';

export interface KeptMail extends Omit<OutgoingMail, 'date'> {
  /** Names the mail in this mailbox: when it was sent, and its id. */
  name: string;
  /** ISO 8601. */
  date: string;
}

/** A folder in place of a mail server, for development: what is sent is kept there. */
export interface Mailbox extends MailTransport {
  /** The newest first. */
  list(): Promise<KeptMail[]>;
  find(name: string): Promise<KeptMail | undefined>;
  /** The mail as a server would have got it. */
  readSource(name: string): Promise<Buffer | undefined>;
}

const nameForm = /^\d{8}T\d{9}Z-[0-9a-f-]{36}$/;

/**
 * Keeps the newest `keep` mails in the folder, which is made with the first of them: NAME.eml, and NAME.json for `list`. Both
 * are for the owner's eyes only, since a mail may let its reader in.
 */
export function makeMailbox(folder: string, { keep = 200 }: { keep?: number } = {}): Mailbox {
  const fileOf = (name: string, ending: 'eml' | 'json') => path.join(folder, `${name}.${ending}`);
  const names = async (): Promise<string[]> => {
    const files = await readdir(folder).catch(absent);
    return (files ?? [])
      .filter((file) => file.endsWith('.json') && nameForm.test(file.slice(0, -5)))
      .map((file) => file.slice(0, -5))
      .sort()
      .reverse();
  };
  const read = async (name: string, ending: 'eml' | 'json') =>
    nameForm.test(name) ? readFile(fileOf(name, ending)).catch(absent) : undefined;
  const find = async (name: string): Promise<KeptMail | undefined> => {
    const content = await read(name, 'json');
    return content && JSON.parse(content.toString('utf8'));
  };

  return {
    async send(mail) {
      const name = `${mail.date.toISOString().replaceAll(/[-:.]/g, '')}-${mail.id}`;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(fileOf(name, 'eml'), await composeMail(mail), { mode: 0o600 });
      // Under its own name only when it is whole: `list` may look at any time.
      const draft = `${fileOf(name, 'json')}.draft`;
      await writeFile(draft, JSON.stringify({ ...mail, name }), { mode: 0o600 });
      await rename(draft, fileOf(name, 'json'));
      for (const old of (await names()).slice(keep)) {
        await rm(fileOf(old, 'json'), { force: true });
        await rm(fileOf(old, 'eml'), { force: true });
      }
      return { ok: true };
    },
    async list() {
      const mails = await Promise.all((await names()).map(find));
      return mails.filter((mail) => mail !== undefined);
    },
    find,
    readSource: (name) => read(name, 'eml'),
  };
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') {
    throw error;
  }
}
