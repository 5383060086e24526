import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { composeMail, makeSmtpTransport, type OutgoingMail } from '#src/lib/mail-transport.ts';
import { type MailServer, startMailServer } from '#test/support/mail-server.ts';
import { freePort } from '#test/support/server.ts';

const mail: OutgoingMail = {
  id: '6b0f7a56-64a4-4bd8-9d6b-1c8a2b6f6a11',
  from: 'Tessera <no-reply@example.test>',
  to: 'alice@acme.test',
  date: new Date('2026-11-24T08:45:12.345Z'),
  subject: 'New sign-in to Acme Inc',
  text: 'Somebody signed in.\n',
  html: '<p>Somebody signed in.</p>',
};

/** The names of the heads of a message, of its parts too. */
const heads = (source: string) =>
  source
    .replaceAll(/\r?\n[ \t]+/g, ' ')
    .split(/\r?\n/)
    .flatMap((line) => /^([A-Za-z-]+): /.exec(line)?.[1]?.toLowerCase() ?? []);

let server: MailServer;

beforeAll(async () => {
  server = await startMailServer();
});
beforeEach(() => {
  server.set('accept');
  server.received.length = 0;
});
afterAll(() => server?.stop());

test('a mail arrives once, from the sender, to one address, with both its parts', async () => {
  expect(await makeSmtpTransport(server.url).send(mail)).toEqual({ ok: true });
  const [{ from, to, source } = { source: '' }, ...others] = server.received;
  expect([from, to, others]).toEqual(['no-reply@example.test', ['alice@acme.test'], []]);
  expect(source).toContain('Message-ID: <6b0f7a56-64a4-4bd8-9d6b-1c8a2b6f6a11@example.test>\r\n');
  expect(source).toContain('Date: Tue, 24 Nov 2026 08:45:12 +0000\r\n');
  expect(source).toContain('Auto-Submitted: auto-generated\r\n');
  expect(source).toContain('multipart/alternative');
  expect(source).toContain('Somebody signed in.');
});

const hostile = [
  'Acme\r\nBcc: eve@evil.test',
  'Acme\nBcc: eve@evil.test',
  'Acme\rBcc: eve@evil.test',
  'Acme\r\n\r\n<b>another body</b>',
  'Acme\r\n.\r\nMAIL FROM:<eve@evil.test>',
  '--boundary\r\nContent-Type: text/html\r\n\r\nx',
  'Acme\u2028Bcc: eve@evil.test',
  '=?utf-8?B?DQpCY2M6IGV2ZUBldmlsLnRlc3Q=?=',
];

describe('no text makes a head, a part or a second recipient [A-151, A-152, ASVS 1.3.11]', () => {
  test.each(hostile)('%j', async (text) => {
    const plain = heads((await composeMail(mail)).toString());
    const outcome = await makeSmtpTransport(server.url).send({
      ...mail,
      subject: text,
      text: `${text}\n`,
      html: `<p>${text}</p>`,
    });
    expect(outcome).toEqual({ ok: true });
    expect(server.received.map(({ from, to }) => [from, to])).toEqual([
      ['no-reply@example.test', ['alice@acme.test']],
    ]);
    const [first] = server.received[0]!.source.split('\r\n\r\n');
    expect(heads(first!)).toEqual(plain.slice(0, heads(first!).length));
    expect(heads(first!)).not.toContain('bcc');
  });

  test.each([
    'alice@acme.test, eve@evil.test',
    'alice@acme.test;eve@evil.test',
    'alice@acme.test>, <eve@evil.test',
    'Alice <alice@acme.test>, eve@evil.test',
    'alice@acme.test\r\nRCPT TO:<eve@evil.test>',
    'alice@acme.test\r\nBcc: eve@evil.test',
  ])('the address %j is refused', async (to) => {
    const outcome = await makeSmtpTransport(server.url).send({ ...mail, to });
    expect([outcome, server.received]).toEqual([{ ok: false, reason: 'EADDRESS', permanent: true }, []]);
  });
});

describe('what went wrong is a code, and says whether to try again', () => {
  test.each([
    ['refuse_recipient', { reason: 'EENVELOPE 550', permanent: true }],
    ['refuse_content', { reason: 'EMESSAGE 550', permanent: true }],
    ['busy', { reason: 'EMESSAGE 451', permanent: false }],
    ['forgetful', { reason: 'ECONNECTION', permanent: false }],
  ] as const)('%s', async (mode, expected) => {
    server.set(mode);
    expect(await makeSmtpTransport(server.url).send(mail)).toEqual({ ok: false, ...expected });
  });

  test('nobody there', async () => {
    const transport = makeSmtpTransport(`smtp://127.0.0.1:${await freePort()}`);
    expect(await transport.send(mail)).toEqual({ ok: false, reason: 'ESOCKET', permanent: false });
  });

  test('a server that says nothing more is left after ten seconds [F-16]', async () => {
    server.set('silent');
    expect(await makeSmtpTransport(server.url).send(mail)).toEqual({
      ok: false,
      reason: 'ETIMEDOUT',
      permanent: false,
    });
  }, 20_000);
});
