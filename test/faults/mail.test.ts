import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeJobQueue } from '#src/database/job-queue.ts';
import { withTenant } from '#src/database/tenant.ts';
import { queueMail } from '#src/domain/mail/mails.ts';
import { parseMasterKeys } from '#src/lib/master-key.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { completeFlow } from '#test/support/flow.ts';
import { type MailServer, startMailServer } from '#test/support/mail-server.ts';
import { runStatements } from '#test/support/postgres.ts';
import { freePort, masterKeys, type Node, startNode } from '#test/support/server.ts';

let fixture: Fixture;
let node: Node;
let server: MailServer | undefined;
let port: number;

beforeAll(async () => {
  fixture = await createFixture();
  port = await freePort();
  node = await startNode(fixture, {
    env: { SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'Tessera <no-reply@example.test>' },
  });
});
afterAll(async () => {
  await node?.stop();
  await server?.stop();
  await fixture?.drop();
});

const queue = () => {
  const parsed = parseMasterKeys(masterKeys);
  return withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
    queueMail(
      tx,
      {
        to: 'alice@example.test',
        kind: 'password_changed',
        data: { at: '2026-11-24T08:45:12.345Z', ip: '203.0.113.7', device: 'Firefox on Windows' },
      },
      {
        masterKeys: parsed.ok ? parsed.keys : [],
        jobQueue: makeJobQueue(fixture.db, { onError: () => {} }),
      },
    ),
  );
};
const events = () => node.log.map(({ event }) => event).filter(Boolean);

test('without its mail server people sign in as ever, and what was queued arrives once it is back [A-233, F-16]', async () => {
  await queue();
  await eventually(() => events().length > 0 || undefined);
  expect(events()).toEqual(['mail.deferred']);
  const { tokens } = await completeFlow(node.url, 'acme-web');
  expect(tokens.access_token).toEqual(expect.any(String));

  server = await startMailServer({ port });
  await runStatements(fixture.urls.superUrl, ['update pgboss.job set start_after = now()']);
  await eventually(() => events().length > 1 || undefined);
  expect(events()).toEqual(['mail.deferred', 'mail.sent']);
  expect(server.received.map(({ to }) => to)).toEqual([['alice@example.test']]);
  expect(JSON.stringify(node.log)).not.toMatch(/alice|127\.0\.0\.1:\d+ .*ECONN/);
});

test('with a server that says nothing sign-in is as fast as ever, and what waits is given up on for now', async () => {
  server!.set('silent');
  await queue();
  await eventually(() => server!.received.length > 1 || undefined);
  const { tokens } = await completeFlow(node.url, 'acme-web');
  expect(tokens.access_token).toEqual(expect.any(String));
});
