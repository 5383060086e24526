import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { chromiumPath, launchBrowser, leaveOut } from '../../../test/support/browser.ts';
import { reportHtml } from '../../src/prove/html.ts';
import type { Report } from '../../src/prove/report.ts';
import { reportText } from '../../src/prove/text.ts';

const hostile = `<script>alert(1)</script> "'&`;

const good: Report = {
  findings: [],
  attempts: [
    {
      table: 'shop.orders',
      what: 'read (count)',
      as: 'another tenant',
      outcome: 'nothing',
      detail: 'no rows',
    },
    {
      table: 'shop.orders',
      what: 'truncate',
      as: 'another tenant',
      outcome: 'refused',
      detail: 'permission denied for table orders',
    },
  ],
  controls: [{ table: 'shop.orders', what: 'read own row', worked: true, detail: '1 row' }],
  unfilled: [],
  notes: ['everything was rolled back; sequences may have advanced'],
  tables: 1,
  startedAt: '2026-02-03T04:05:06.789Z',
  duration: 1234,
  database: 'shop',
  server: '18.0',
  role: 'app',
  version: '0.1.0',
};

const bad: Report = {
  ...good,
  database: hostile,
  role: hostile,
  findings: [
    {
      rule: 'P-02/no-rls',
      object: hostile,
      risk: `it was done ${hostile}`,
      fix: `alter table ${hostile};\n${'x'.repeat(300)}`,
    },
    {
      rule: 'P-00/not-proved',
      object: 'shop.log',
      risk: 'nothing is proved about it: only on sundays',
      fix: 'Read the reason.',
    },
  ],
  attempts: [
    ...good.attempts,
    { table: hostile, what: hostile, as: hostile, outcome: 'got through', detail: hostile },
  ],
  unfilled: [{ table: 'shop.log', reason: hostile }],
  notes: [hostile],
};

describe('the text', () => {
  test('is short when nothing got through', () => {
    expect(reportText(good)).toBe(`Database  shop, PostgreSQL 18.0
Role      app
Date      2026-02-03T04:05:06.789Z
By        @tessera/rls 0.1.0, in 1.2 s
Tables    1
Attempts  2: 1 refused, 1 came to nothing, 0 got through
Own rows  1 of 1 accesses to own rows worked

Nothing got through.

Note: everything was rolled back; sequences may have advanced
`);
  });

  test('says what got through, how to mend it, and what is not known', () => {
    const text = reportText(bad);
    expect(text).toMatch(/^1 attempt got through\. Of 1 object nothing is proved\.$/m);
    expect(text).toMatch(/^P-02\/no-rls {2}/m);
    expect(text).toMatch(/^No row could be made in:\n {2}shop\.log {2}/m);
  });

  test('never says that nothing got through when something was not tried', () => {
    const text = reportText({ ...good, findings: [bad.findings[1]!] });
    expect(text).not.toMatch(/^Nothing got through\.$/m);
    expect(text).toMatch(/^Nothing got through of what could be tried\. Of 1 object nothing is proved\.$/m);
  });
});

test('the page escapes every value and loads nothing', () => {
  const page = reportHtml(bad);
  expect(page).not.toContain('<script');
  expect(page).not.toMatch(/\b(src|href)=/);
  expect(page.split('alert(1)').length).toBeGreaterThan(8);
});

describe('the page in a browser', () => {
  if (!chromiumPath()) {
    test('the report', () => leaveOut('the report of the prover'));
    return;
  }

  let browser: Browser;

  beforeAll(async () => {
    browser = await launchBrowser();
  });

  afterAll(() => browser.close());

  test.each([
    ['light', 360],
    ['light', 1200],
    ['dark', 360],
    ['dark', 1200],
  ] as const)('%s at %d px is accessible and fits', async (colorScheme, width) => {
    for (const report of [good, bad]) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
      const page = await context.newPage();
      await page.setContent(reportHtml(report));
      await page.evaluate(`document.querySelectorAll('details').forEach((one) => { one.open = true; })`);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      expect(await page.title()).toContain('2026-02-03');
      await context.close();
    }
  });
});
