import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig } from '#src/config.ts';
import { makeJobQueue } from '#src/database/job-queue.ts';
import { withTenant } from '#src/database/tenant.ts';
import { makeMail } from '#src/domain/mail/mail.ts';
import type { MailInput } from '#src/domain/mail/messages.ts';
import { startSendingMail } from '#src/jobs/send-mail.ts';
import { makeLog } from '#src/lib/log.ts';
import { makeSmtpTransport } from '#src/lib/mail-transport.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { type MailServer, startMailServer } from '#test/support/mail-server.ts';
import { runStatements } from '#test/support/postgres.ts';
import { masterKeys, startNode } from '#test/support/server.ts';

const now = () => new Date('2026-11-24T08:45:12.345Z');
const occasion = { at: now().toISOString(), ip: '203.0.113.7', device: 'Firefox on Windows' };

let fixture: Fixture;
let server: MailServer;
let log: Record<string, unknown>[];
const workers: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  fixture = await createFixture();
  server = await startMailServer();
});
beforeEach(() => {
  log = [];
  server.set('accept');
  server.received.length = 0;
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  await asSuperuser('delete from pgboss.job', 'delete from mails');
});
afterAll(async () => {
  await server?.stop();
  await fixture?.drop();
});

const asSuperuser = (...statements: string[]) => runStatements(fixture.urls.superUrl, statements);

function makeServices() {
  const config = readConfig({
    ISSUER: 'http://localhost:3000',
    MASTER_KEYS: masterKeys,
    SMTP_URL: server.url,
    MAIL_FROM: 'Tessera <no-reply@example.test>',
  });
  const jobQueue = makeJobQueue(fixture.db, { onError: (error) => log.push({ error: String(error) }) });
  const keys = config.masterKeys!;
  return {
    config: { ...config, masterKeys: keys },
    db: fixture.db,
    jobQueue,
    mail: makeMail({
      masterKeys: keys,
      jobQueue,
      smtp: makeSmtpTransport(server.url),
      mailboxFolder: undefined,
    }),
    log: makeLog({ level: 'info', destination: { write: (line) => log.push(JSON.parse(line)) } }),
    now,
  };
}

async function startWorker() {
  const services = makeServices();
  await services.jobQueue.start();
  await startSendingMail(services);
  workers.push({ stop: () => services.jobQueue.stop(1_000) });
  return services;
}

const queue = (changes: Partial<MailInput> = {}, tenant: 'acme' | 'globex' = 'acme') =>
  withTenant(fixture.db, fixture[tenant].tenant_id, (tx) =>
    makeServices().mail.queue(tx, {
      to: 'alice@example.test',
      kind: 'new_device',
      data: occasion,
      ...changes,
    } as MailInput),
  );

const events = () =>
  log.flatMap(({ event, reason }) => (event ? [[event, reason].filter(Boolean).join(' ')] : []));
const until = (event: string, count = 1) =>
  eventually(() => events().filter((one) => one.startsWith(event)).length >= count || undefined);
const states = async () =>
  (await asSuperuser('select state::text from pgboss.job')).map(({ state }) => state);
const settled = () => eventually(async () => !(await states()).includes('active') || undefined);
const makeDue = () => asSuperuser("update pgboss.job set start_after = now() where state = 'retry'");
const countMails = async () => (await asSuperuser('select from mails')).length;

/** The names of the heads, and those of each part. */
function describeMessage(source: string): string[][] {
  const boundary = /boundary="([^"]+)"/.exec(source)![1]!;
  return source
    .split(`--${boundary}`)
    .map((part) => part.trimStart().split('\r\n\r\n')[0]!)
    .map((heads) => [...heads.matchAll(/^([A-Za-z-]+):/gm)].map(([, name]) => name!));
}

describe('a queued mail', () => {
  test('arrives once, in the words of its kind and of its tenant, and leaves nothing behind', async () => {
    await startWorker();
    await queue();
    await queue({ to: 'bob@example.test' }, 'globex');
    await until('mail.sent', 2);
    await settled();
    expect(server.received.map(({ to }) => to).sort()).toEqual([
      ['alice@example.test'],
      ['bob@example.test'],
    ]);
    const [toAlice, toBob] = server.received.sort((a, b) => a.to[0]!.localeCompare(b.to[0]!));
    expect(toAlice!.source).toContain('Subject: New sign-in to Acme Inc\r\n');
    expect(toAlice!.source).toContain('Firefox on Windows');
    expect(toBob!.source).toContain('Subject: New sign-in to Globex\r\n');
    expect([await countMails(), await states()]).toEqual([0, ['completed', 'completed']]);
    expect(JSON.stringify(log)).not.toMatch(/alice|bob|203\.0\.113|Firefox/);
  });

  test('of a name and a device full of line ends has the heads of any other, and one recipient [A-151]', async () => {
    const hostile =
      'Evil\r\nBcc: eve@evil.test\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<script>x()</script>';
    await startWorker();
    await queue();
    await until('mail.sent');
    await asSuperuser(
      `update tenants set name = E'${hostile.replaceAll('\r\n', '\\r\\n')}' where slug = 'acme'`,
    );
    await queue({ data: { at: hostile, ip: hostile, device: hostile } });
    await until('mail.sent', 2);
    await asSuperuser("update tenants set name = 'Acme Inc' where slug = 'acme'");
    const [plain, spoilt] = server.received.map(({ source }) => describeMessage(source));
    expect(spoilt).toEqual(plain);
    expect(server.received.map(({ to }) => to)).toEqual([['alice@example.test'], ['alice@example.test']]);
  });

  test('is tried again when the server is busy or breaks off, under the same Message-ID [A-233, F-16]', async () => {
    await startWorker();
    server.set('busy');
    await queue();
    await until('mail.deferred');
    await settled();
    expect(await asSuperuser('select attempts, last_error from mails')).toEqual([
      { attempts: 1, last_error: 'EMESSAGE 451' },
    ]);
    server.set('forgetful');
    await makeDue();
    await until('mail.deferred', 2);
    await settled();
    server.set('accept');
    await makeDue();
    await until('mail.sent');
    await settled();
    expect(events()).toEqual(['mail.deferred EMESSAGE 451', 'mail.deferred ECONNECTION', 'mail.sent']);
    // The one that broke off had been taken: nobody can know, and a reader's program can tell that both are one.
    const ids = server.received.map(({ source }) => /^Message-ID: (.*)$/m.exec(source)![1]);
    expect([ids.length, new Set(ids).size]).toEqual([2, 1]);
    expect([await countMails(), await states()]).toEqual([0, ['completed']]);
  }, 30_000);

  test('waits 15 to 30 seconds before the second attempt, longer each time, never more than an hour', async () => {
    await startWorker();
    server.set('busy');
    await queue();
    for (const [retries, least, most] of [
      [0, 15, 30],
      [3, 120, 240],
      [20, 3_600, 3_600],
    ] as const) {
      await asSuperuser(
        `update pgboss.job set retry_count = ${retries}, started_on = null, start_after = now()`,
      );
      await until('mail.deferred', log.length + 1);
      await settled();
      const [row] = await asSuperuser(
        'select extract(epoch from start_after - now())::int as wait from pgboss.job',
      );
      expect(row!['wait']).toBeGreaterThanOrEqual(least - 5);
      expect(row!['wait']).toBeLessThanOrEqual(most);
    }
  }, 30_000);

  test('that the server refuses for good, or that was tried for a day, is given up with an event that names nobody', async () => {
    await startWorker();
    server.set('refuse_recipient');
    await queue();
    await until('mail.given_up');
    await settled();
    server.set('busy');
    await queue();
    await until('mail.deferred');
    await settled();
    await asSuperuser("update pgboss.job set retry_count = 29, start_after = now() where state = 'retry'");
    await until('mail.given_up', 2);
    await settled();
    expect(events()).toEqual([
      'mail.given_up EENVELOPE 550',
      'mail.deferred EMESSAGE 451',
      'mail.given_up EMESSAGE 451',
    ]);
    expect([server.received, await countMails(), await states()]).toEqual([
      [],
      0,
      ['completed', 'completed'],
    ]);
    expect(JSON.stringify(log)).not.toMatch(/alice|not this one/);
  }, 30_000);

  test('whose kind this release does not know waits for one that does', async () => {
    await startWorker();
    await queue({ kind: 'of_tomorrow' as 'new_device' });
    await until('mail.deferred');
    expect(events()).toEqual(['mail.deferred internal']);
    expect(await countMails()).toBe(1);
  });
});

test('two nodes at once send each mail once', async () => {
  await Promise.all(Array.from({ length: 40 }, (_, index) => queue({ to: `user${index}@example.test` })));
  await Promise.all([startWorker(), startWorker()]);
  await until('mail.sent', 40);
  await settled();
  expect(new Set(server.received.map(({ to }) => to[0])).size).toBe(40);
  expect(server.received).toHaveLength(40);
}, 30_000);

describe('a node', () => {
  const start = () =>
    startNode(fixture, { env: { SMTP_URL: server.url, MAIL_FROM: 'Tessera <no-reply@example.test>' } });

  test('that is killed while it sends leaves the mail to another one, in about a minute', async () => {
    const node = await start();
    server.set('silent');
    await queue();
    await eventually(() => server.received.length > 0 || undefined);
    await node.kill();
    server.set('accept');
    const { jobQueue } = await startWorker();
    expect([await countMails(), await states()]).toEqual([1, ['active']]);

    await asSuperuser("update pgboss.job set started_on = started_on - interval '61 s'");
    await asSuperuser('update pgboss.queue set monitor_claim_on = null, monitor_on = null');
    await jobQueue.supervise();
    await makeDue();
    await until('mail.sent');
    await settled();
    expect([await countMails(), await states()]).toEqual([0, ['completed']]);
  }, 60_000);

  test('that is told to end finishes the mail under way', async () => {
    const node = await start();
    server.set('silent');
    await queue();
    await eventually(() => server.received.length > 0 || undefined);
    const stopped = node.stop();
    server.release();
    await stopped;
    expect(node.log.map(({ event }) => event).filter(Boolean)).toEqual(['mail.sent']);
    expect([await countMails(), await states(), server.received.length]).toEqual([0, ['completed'], 1]);
  }, 60_000);
});
