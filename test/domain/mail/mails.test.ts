import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type JobQueue, makeJobQueue } from '#src/database/job-queue.ts';
import { withTenant } from '#src/database/tenant.ts';
import { makeMail } from '#src/domain/mail/mail.ts';
import { noteMailFailure, queueMail, removeMail, takeMail } from '#src/domain/mail/mails.ts';
import type { MailInput } from '#src/domain/mail/messages.ts';
import { makeMasterKeyText, parseMasterKeys } from '#src/lib/master-key.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements } from '#test/support/postgres.ts';

const makeKeys = () => {
  const parsed = parseMasterKeys(makeMasterKeyText('test'));
  return parsed.ok ? parsed.keys : [];
};
const masterKeys = makeKeys();
const occasion = { at: '2026-11-24T08:45:12.345Z', ip: '203.0.113.7', device: 'Firefox on Windows' };

let fixture: Fixture;
let jobQueue: JobQueue;

beforeAll(async () => {
  fixture = await createFixture();
  jobQueue = makeJobQueue(fixture.db, {
    onError(error) {
      throw error;
    },
  });
});
afterAll(() => fixture?.drop());

const asAcme = <T>(work: Parameters<typeof withTenant<T>>[2]) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);
const message = (): MailInput => ({
  to: 'alice@example.test',
  user_id: fixture.acme.users.alice,
  kind: 'new_device',
  data: occasion,
});
const rows = async () => {
  const [mails, jobs] = await Promise.all(
    ['select * from mails', 'select * from pgboss.job'].map((sql) =>
      runStatements(fixture.urls.superUrl, [sql]),
    ),
  );
  return { mails: mails!, jobs: jobs! };
};

beforeEach(() => runStatements(fixture.urls.superUrl, ['delete from mails', 'delete from pgboss.job']));

describe('a queued mail', () => {
  test('is one row and one job, neither of which tells an address or a content', async () => {
    await asAcme((tx) => queueMail(tx, message(), { masterKeys, jobQueue }));
    const { mails, jobs } = await rows();
    expect(jobs.map(({ data, state }) => [state, data])).toEqual([
      ['created', { tenant_id: fixture.acme.tenant_id, id: mails[0]!['id'] }],
    ]);
    const said = JSON.stringify([mails, jobs]) + (mails[0]!['sealed_message'] as Buffer).toString('latin1');
    for (const secret of ['alice@example.test', 'alice', occasion.ip, 'Firefox']) {
      expect(said).not.toContain(secret);
    }
  });

  test('does not exist when its transaction is rolled back', async () => {
    await expect(
      asAcme(async (tx) => {
        await queueMail(tx, message(), { masterKeys, jobQueue });
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    expect(await rows()).toEqual({ mails: [], jobs: [] });
  });

  test('goes to one address only [A-152]', async () => {
    for (const to of [
      'alice@example.test,eve@evil.test',
      'alice@example.test\r\nBcc: eve@evil.test',
      ['alice@example.test', 'eve@evil.test'],
      'Alice@example.test',
      '',
      undefined,
    ]) {
      await expect(
        asAcme((tx) => queueMail(tx, { ...message(), to: to as string }, { masterKeys, jobQueue })),
      ).rejects.toThrow('a mail goes to one address');
    }
    expect(await rows()).toEqual({ mails: [], jobs: [] });
  });

  test('is taken as it was queued, each attempt counted, until it is removed', async () => {
    await asAcme((tx) => queueMail(tx, message(), { masterKeys, jobQueue }));
    const id = (await rows()).mails[0]!['id'] as string;
    expect(await asAcme((tx) => takeMail(tx, id, masterKeys))).toEqual({ ...message(), id, attempts: 1 });
    await asAcme((tx) => noteMailFailure(tx, id, 'ESOCKET'));
    expect(await asAcme((tx) => takeMail(tx, id, masterKeys))).toMatchObject({ attempts: 2 });
    expect((await rows()).mails).toMatchObject([{ attempts: 2, last_error: 'ESOCKET' }]);
    await asAcme((tx) => removeMail(tx, id));
    expect(await asAcme((tx) => takeMail(tx, id, masterKeys))).toBeUndefined();
  });

  test('opens under its own master key and in its own place only', async () => {
    await asAcme((tx) => queueMail(tx, message(), { masterKeys, jobQueue }));
    const id = (await rows()).mails[0]!['id'] as string;
    await expect(asAcme((tx) => takeMail(tx, id, makeKeys()))).rejects.toMatchObject({ code: 'seal_broken' });
    const other = crypto.randomUUID();
    await runStatements(fixture.urls.superUrl, [`update mails set id = '${other}'`]);
    await expect(asAcme((tx) => takeMail(tx, other, masterKeys))).rejects.toMatchObject({
      code: 'seal_broken',
    });
  });

  test('goes with the user whom it is about', async () => {
    await asAcme((tx) =>
      queueMail(tx, { ...message(), user_id: fixture.acme.users.bob }, { masterKeys, jobQueue }),
    );
    await asAcme((tx) => tx.deleteFrom('users').where('id', '=', fixture.acme.users.bob).execute());
    expect((await rows()).mails).toEqual([]);
  });
});

test('where mail cannot leave, nothing is queued', async () => {
  const mail = makeMail({ masterKeys, jobQueue, smtp: undefined, mailboxFolder: undefined });
  expect([mail.transport, mail.mailbox]).toEqual([undefined, undefined]);
  await asAcme((tx) => mail.queue(tx, message()));
  expect(await rows()).toEqual({ mails: [], jobs: [] });
});
