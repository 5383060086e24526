import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { putUser } from '#src/domain/users/users.ts';
import { chromiumPath, launchBrowser, leaveOut } from '#test/support/browser.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { authorize, discover } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';

const email = 'carol@example.test';
const chosen = 'vexed gnu quilt';

if (!chromiumPath()) {
  test('the new password in a real browser', () => leaveOut('the new password in a real browser'));
} else {
  describe('a compromised user in a real browser [A-088]', () => {
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
      withTenant(fixture.db, fixture.acme.tenant_id, async (tx) => {
        const password_hash = await hashPassword(password);
        const user = { email, email_verified: true, name: 'Carol', password_hash, roles: [] };
        await putUser(tx, { ...user, status: 'compromised' });
      }),
    );

    /** Signs in with the old password and gives the page that comes then. */
    async function arrive(options: BrowserContextOptions) {
      const page = await (await browser.newContext(options)).newPage();
      page.setDefaultTimeout(10_000);
      const complaints: string[] = [];
      page.on('console', (message) => {
        // Chromium notes, too, that it kept the focus where this test had put it already.
        if (!message.text().startsWith('Autofocus processing was blocked')) {
          complaints.push(message.text());
        }
      });
      page.on('pageerror', (error) => complaints.push(String(error)));
      await page.goto((await authorize(await discover(node.url, 'acme-web'))).url.href);
      await page.getByLabel('Email', { exact: true }).fill(email);
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
      return { page, complaints };
    }

    const type = async (page: Page, typed: string) => {
      await page.getByLabel('Current password', { exact: true }).fill(password);
      await page.getByLabel('New password', { exact: true }).fill(typed);
    };
    const faults = async (page: Page) =>
      (await new AxeBuilder({ page }).setLegacyMode().analyze()).violations.map(({ id }) => id);

    /** Nobody listens at the client: the browser is only watched on its way there. */
    const leaves = (page: Page) =>
      page.waitForRequest((request) => request.url().startsWith(`${redirect_uri}?code=`));

    test.each([
      ['in the light', { colorScheme: 'light' }],
      ['on a phone in the dark', { colorScheme: 'dark', viewport: { width: 360, height: 740 } }],
    ] as const)(
      '%s: sees while typing what is wrong with a password, and that one is good',
      async (_, options) => {
        const { page, complaints } = await arrive(options as BrowserContextOptions);
        const verdict = page.locator('#verdict');
        const meter = page.getByRole('meter');
        expect(await meter.isVisible()).toBe(false);

        await type(page, 'acme-tessera-2026!');
        await verdict.filter({ hasText: 'names and words' }).waitFor();
        expect(await meter.getAttribute('aria-valuenow')).toBe('1');
        expect(await faults(page)).toEqual([]);

        await type(page, 'short');
        await verdict.filter({ hasText: 'fewer than 15 characters' }).waitFor();
        await type(page, '');
        await verdict.filter({ hasText: /^$/ }).waitFor({ state: 'attached' });
        expect(await meter.isVisible()).toBe(false);

        await type(page, chosen);
        await verdict.filter({ hasText: 'Very hard to guess' }).waitFor();
        expect(await meter.getAttribute('aria-valuenow')).toBe('4');
        expect(await faults(page)).toEqual([]);
        expect(complaints).toEqual([]);
        const left = leaves(page);
        await page.getByRole('button', { name: 'Continue' }).click();
        await left;
        await page.context().close();
      },
    );

    test('without JavaScript: hears it when the form is sent, and comes in all the same', async () => {
      const { page } = await arrive({ javaScriptEnabled: false });
      await type(page, 'acme-tessera-2026!');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('alert').filter({ hasText: 'names and words' }).waitFor();
      expect(await page.getByLabel('Email', { exact: true }).inputValue()).toBe(email);
      expect(await page.getByLabel('New password', { exact: true }).inputValue()).toBe('');
      await type(page, chosen);
      const left = leaves(page);
      await page.getByRole('button', { name: 'Continue' }).click();
      await left;
      await page.context().close();
    });
  });
}
