import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeMailbox } from '#src/lib/mailbox.ts';

const mail = (second: number) => ({
  id: crypto.randomUUID(),
  from: 'Tessera <no-reply@localhost>',
  to: 'alice@acme.test',
  date: new Date(Date.UTC(2026, 10, 24, 8, 45, second)),
  subject: `Mail ${second}`,
  text: 'Hello.\n',
  html: '<p>Hello.</p>',
});

let parent: string;

beforeAll(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'tessera-mailbox-'));
});
afterAll(() => rm(parent, { recursive: true }));

test('an empty mailbox makes no folder', async () => {
  const mailbox = makeMailbox(path.join(parent, 'none'));
  expect(await mailbox.list()).toEqual([]);
  expect(await readdir(parent)).toEqual([]);
});

test('keeps the newest, for its owner alone', async () => {
  const folder = path.join(parent, 'data', 'mail');
  const mailbox = makeMailbox(folder, { keep: 3 });
  for (const second of [4, 1, 3, 5, 2]) {
    expect(await mailbox.send(mail(second))).toEqual({ ok: true });
  }
  const kept = await mailbox.list();
  expect(kept.map(({ subject }) => subject)).toEqual(['Mail 5', 'Mail 4', 'Mail 3']);
  expect(await mailbox.find(kept[0]!.name)).toEqual(kept[0]);
  expect((await mailbox.readSource(kept[0]!.name))!.toString()).toContain('Subject: Mail 5\r\n');
  const files = await readdir(folder);
  expect(files).toHaveLength(6);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  for (const file of files) {
    expect((await stat(path.join(folder, file))).mode & 0o777).toBe(0o600);
  }
});

test.each(['../../etc/passwd', 'x', '20261124T084512345Z-../../../../../../../../../../../etc', ''])(
  'finds nothing by the name %j',
  async (name) => {
    const mailbox = makeMailbox(path.join(parent, 'data', 'mail'));
    expect([await mailbox.find(name), await mailbox.readSource(name)]).toEqual([undefined, undefined]);
  },
);
