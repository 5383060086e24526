import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { withTenant } from '#src/database/tenant.ts';
import { chromiumPath, launchBrowser, leaveOut } from '#test/support/browser.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { type Node, startNode } from '#test/support/server.ts';

const phone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1';

if (!chromiumPath()) {
  test('the account page in a real browser', () => leaveOut('the account page in a real browser'));
} else {
  describe('in a real browser', () => {
    let fixture: Fixture;
    let node: Node;
    let browser: Browser;

    beforeAll(async () => {
      fixture = await createFixture();
      node = await startNode(fixture);
      browser = await launchBrowser();
    });
    afterAll(async () => {
      await browser?.close();
      await node?.stop();
      await fixture?.drop();
    });
    beforeEach(() =>
      withTenant(fixture.db, fixture.acme.tenant_id, (tx) => tx.deleteFrom('sessions').execute()),
    );

    /** A new browser that has signed in for the account page. */
    const open = async (options: BrowserContextOptions = {}) => {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      page.setDefaultTimeout(10_000);
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') {
          complaints.push(message.text());
        }
      });
      await page.goto(`${node.url}/account?tenant=acme`);
      await signIn(page);
      return { page, complaints };
    };

    const signIn = async (page: Page) => {
      await page.getByLabel('Email', { exact: true }).fill('alice@example.test');
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'Where you are signed in' }).waitFor();
    };

    const device = (page: Page, title: string) =>
      page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: title, exact: true }) });

    test.each([
      ['with JavaScript', {}],
      ['without JavaScript', { javaScriptEnabled: false }],
      ['on a phone in the dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
    ] as const)(
      'a person ends the session of a lost phone from another device, %s [A-139]',
      async (_, options) => {
        const lost = await open({ userAgent: phone });
        const { page, complaints } = await open(options as BrowserContextOptions);
        const card = device(page, 'Safari on iOS');
        const button = page.getByRole('button', { name: 'Sign out this device Safari on iOS' });
        expect(await button.isVisible()).toBe(false);
        await card.getByText('Sign out', { exact: true }).click();
        await button.click();
        await page.getByText('The device is signed out.').waitFor();
        expect(await card.count()).toBe(0);
        await page.getByText('You are signed in on this device only.').waitFor();

        await page.reload();
        expect(await page.getByText('This device', { exact: true }).count()).toBe(1);
        await lost.page.reload();
        await lost.page.getByRole('button', { name: 'Sign in' }).waitFor();
        expect(complaints).toEqual([]);
        await Promise.all([page.context().close(), lost.page.context().close()]);
      },
    );

    test('signs out all other devices at once, and stays', async () => {
      const others = [await open({ userAgent: phone }), await open()];
      const { page, complaints } = await open();
      await page.getByText('Sign out everywhere else').click();
      await page.getByText('All 2 other devices have to sign in again.', { exact: false }).waitFor();
      await page.getByRole('button', { name: 'Sign out all other devices' }).click();
      await page.getByText('You are signed out everywhere else.').waitFor();
      for (const other of others) {
        await other.page.reload();
        await signIn(other.page);
        await other.page.context().close();
      }
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('gives a device a name, which its buttons then say', async () => {
      const { page, complaints } = await open({ userAgent: phone });
      await page.getByText('Name', { exact: true }).click();
      await page.getByLabel('Name of this device').fill('My “old” phone <1>');
      await page.keyboard.press('Enter');
      await page.getByText('The name is saved.').waitFor();
      const card = device(page, 'My “old” phone <1>');
      expect(await card.textContent()).toContain('Safari on iOS');
      expect(await card.getByRole('link', { name: 'Sign out My “old” phone <1>' }).count()).toBe(1);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('shows the time of the reader’s clock, and without JavaScript that of UTC, which it says', async () => {
      const { page } = await open({ timezoneId: 'Asia/Tokyo' });
      const time = page.locator('time').first();
      const utc = await time.getAttribute('title');
      expect(utc).toMatch(/ UTC$/);
      const iso = await time.getAttribute('datetime');
      const shown = new Intl.DateTimeFormat('en', {
        dateStyle: 'medium',
        timeStyle: 'short',
        timeZone: 'Asia/Tokyo',
      });
      expect(await time.textContent()).toBe(shown.format(new Date(iso!)));
      await page.context().close();

      const plain = await open({ timezoneId: 'Asia/Tokyo', javaScriptEnabled: false });
      expect(await plain.page.locator('time').first().textContent()).toMatch(/ UTC$/);
      await plain.page.context().close();
    });

    test('is accessible with every form open, and has the sign-out at its top [WCAG 2.2 AA, ASVS 7.4.4]', async () => {
      await open({ userAgent: phone });
      const { page } = await open();
      await page.evaluate(
        `for (const one of document.querySelectorAll('details')) { one.removeAttribute('name'); one.open = true; }`,
      );
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        const { violations } = await new AxeBuilder({ page }).analyze();
        expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
      }
      await page.getByRole('banner').getByRole('link', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.goto(`${node.url}/account/sessions?tenant=acme`);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await page.context().close();
    });
  });
}
