import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { makeJobQueue } from '#src/database/job-queue.ts';
import { withTenant } from '#src/database/tenant.ts';
import { queueMail } from '#src/domain/mail/mails.ts';
import { parseMasterKeys } from '#src/lib/master-key.ts';
import { chromiumPath, launchBrowser, leaveOut } from '#test/support/browser.ts';
import { call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { freePort, masterKeys, type Node, startNode } from '#test/support/server.ts';

const paths = [
  '',
  '/20261124T084512345Z-6b0f7a56-64a4-4bd8-9d6b-1c8a2b6f6a11',
  '/x',
  '/x/html',
  '/x/source',
].map((rest) => `/dev/mail${rest}`);

let fixture: Fixture;
let node: Node | undefined;

beforeAll(async () => {
  fixture = await createFixture();
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
});
afterAll(() => fixture?.drop());

async function queue(device: string): Promise<void> {
  const parsed = parseMasterKeys(masterKeys);
  const keys = parsed.ok ? parsed.keys : [];
  const jobQueue = makeJobQueue(fixture.db, { onError: () => {} });
  const { tenant_id, users } = fixture.acme;
  await withTenant(fixture.db, tenant_id, (tx) =>
    queueMail(
      tx,
      {
        to: 'alice@example.test',
        user_id: users.alice,
        kind: 'new_device',
        data: { at: '2026-11-24T08:45:12.345Z', ip: '203.0.113.7', device },
      },
      { masterKeys: keys, jobQueue },
    ),
  );
}

const get = (route: string) => call(`${node!.url}${route}`, { headers: { accept: 'text/html' } });

describe('a development server without SMTP_URL', () => {
  test('keeps its mail in its data directory and shows it, text, HTML and source', async () => {
    node = await startNode(fixture);
    expect((await get('/dev/mail')).body).toContain('Nothing yet.');
    await queue('<img src=x onerror=x()>');
    const href = await eventually(
      async () => /href="(\/dev\/mail\/[^"]+)"/.exec((await get('/dev/mail')).body)?.[1],
    );
    expect(
      readdirSync(path.join(node.dataDir, 'mail'))
        .map((name) => path.extname(name))
        .sort(),
    ).toEqual(['.eml', '.json']);

    const shown = await get(href);
    expect(shown.body).toContain('New sign-in to Acme Inc');
    expect(shown.body).toContain('Device: &lt;img src=x onerror=x()&gt;');
    expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(shown.headers.get('content-security-policy')).not.toContain('unsafe');

    const html = await get(`${href}/html`);
    expect(html.headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none'; /);
    expect(html.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(html.body).toContain('&lt;img src=x onerror=x()&gt;');

    const source = await get(`${href}/source`);
    expect(source.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(source.body).toContain('To: alice@example.test\r\n');

    expect((await get('/dev/mail/..%2f..%2fmaster-keys')).status).toBe(404);
    expect((await get(`${href}x`)).status).toBe(404);
  });

  if (chromiumPath()) {
    test('shows it well in light and dark, wide and narrow', async () => {
      node = await startNode(fixture);
      await queue('Firefox on Windows');
      await eventually(async () => (await get('/dev/mail')).body.includes('New sign-in') || undefined);
      const browser = await launchBrowser();
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of [1280, 360]) {
          await page.setViewportSize({ width, height: 740 });
          await page.goto(`${node.url}/dev/mail`);
          await page.getByRole('link', { name: 'New sign-in to Acme Inc' }).first().click();
          await page.getByRole('heading', { name: 'New sign-in to Acme Inc' }).waitFor();
          await page.getByRole('link', { name: 'Show as HTML' }).click();
          await page.getByRole('heading', { name: 'New sign-in to Acme Inc' }).waitFor();
          const [colours, overflow] = await page.evaluate<[string, boolean]>(
            `[getComputedStyle(document.body).backgroundColor, document.documentElement.scrollWidth > innerWidth]`,
          );
          expect([colorScheme, colours, overflow]).toEqual([
            colorScheme,
            colorScheme === 'dark' ? 'rgb(15, 21, 20)' : 'rgb(241, 237, 228)',
            false,
          ]);
        }
      }
      expect(complaints).toEqual([]);
      await browser.close();
    }, 60_000);
  } else {
    test('shows it well in a browser', () => leaveOut('the development mailbox in a browser'));
  }
});

test('with SMTP_URL there is no mailbox', async () => {
  const env = { SMTP_URL: `smtp://127.0.0.1:${await freePort()}`, MAIL_FROM: 'no-reply@example.test' };
  node = await startNode(fixture, { env });
  for (const route of paths) {
    expect([route, (await get(route)).status]).toEqual([route, 404]);
  }
});

describe('in production without SMTP_URL', () => {
  test('there is no mailbox, and the start says what is missing, once [A-240]', async () => {
    node = await startNode(fixture, { issuer: 'https://id.example.test', env: { NODE_ENV: 'production' } });
    for (const route of paths) {
      const { status } = await sendRaw(node.url, { lines: rawGet(route, 'id.example.test') });
      expect([route, status]).toEqual([route, 404]);
    }
    const warnings = node.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    expect(warnings).toEqual([
      'no mail is sent, not even about the safety of an account: set SMTP_URL and MAIL_FROM',
    ]);
  }, 60_000);
});
