import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { chromiumPath, launchBrowser, leaveOut } from '#test/support/browser.ts';
import { samples } from '#views/samples.ts';

const nonce = 'bm9uY2UtZm9yLXNhbXBsZXM';
const policy = [
  "default-src 'none'",
  `style-src 'nonce-${nonce}'`,
  `script-src 'nonce-${nonce}'`,
  "img-src 'self' data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  'report-uri /report',
].join('; ');
const planted = `<!doctype html><html lang="en"><head><title>x</title></head><body><main class="pane"><h1 style="color: red">x</h1><input>
<hr width="2000"></main></body></html>`;

const schemes = ['light', 'dark'] as const;
const widths = [1280, 768, 360, 320];
const cases = samples.map(({ name, render }, index) => ({
  name,
  path: `/${index}`,
  scripted: render().includes('<script'),
}));

if (!chromiumPath()) {
  test('hosted pages in a browser', () => leaveOut('hosted pages in a browser'));
} else {
  let server: Server;
  let browser: Browser;
  let origin: string;
  const requests: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => answer(request, response, requests)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  describe.each([
    { scripts: 'with scripts', javaScriptEnabled: true },
    { scripts: 'without scripts', javaScriptEnabled: false },
  ])('$scripts', ({ javaScriptEnabled }) => {
    let page: Page;
    let reader: Page;
    const complaints: string[] = [];

    beforeAll(async () => {
      page = await (await browser.newContext({ javaScriptEnabled })).newPage();
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(String(error)));
      // axe is itself a script: where scripts are off it reads the page with the page's own script left out.
      reader = javaScriptEnabled ? page : await (await browser.newContext()).newPage();
    });

    afterAll(async () => {
      await page.context().close();
      await reader.context().close();
    });

    test.each(cases)(
      '$name: fits, reads well and obeys the policy in light and dark, wide and narrow [A-135, WCAG 2.2 AA]',
      async ({ path, scripted }) => {
        complaints.length = 0;
        requests.length = 0;
        await page.goto(origin + path);
        expect(requests).toEqual([path]);
        if (reader !== page) await reader.goto(`${origin}${path}?bare`);
        for (const colorScheme of schemes) {
          // Without motion colours change at once, so that axe never meets one halfway.
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          await reader.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          for (const width of widths) {
            await page.setViewportSize({ width, height: 740 });
            expect([colorScheme, width, await stickingOut(page)]).toEqual([colorScheme, width, []]);
          }
          // A page without a script was read already and is the same here.
          if (!javaScriptEnabled && !scripted) continue;
          for (const width of [1280, 360]) {
            await reader.setViewportSize({ width, height: 740 });
            expect([colorScheme, width, await faults(reader)]).toEqual([colorScheme, width, []]);
          }
        }
        expect(complaints).toEqual([]);
      },
      30_000,
    );

    test('finds planted faults, so that finding none means something', async () => {
      complaints.length = 0;
      await page.goto(`${origin}/planted`);
      await reader.goto(`${origin}/planted`);
      expect(await faults(reader)).toContain('label');
      expect(complaints.join()).toContain('Content Security Policy');
      expect(await stickingOut(page)).toEqual(['html', 'hr']);
    }, 30_000);
  });

  test('a waiting time goes down while its page is open, and says when it is over', async () => {
    const page = await browser.newPage();
    await page.clock.install();
    const index = samples.findIndex(({ name }) => name === 'too many requests for an account');
    await page.goto(`${origin}/${index}`);
    const line = page.locator('[data-countdown]');
    const seen = [await line.textContent()];
    for (const seconds of [30, 780, 30, 31]) {
      await page.clock.runFor(seconds * 1_000);
      seen.push(await line.textContent());
    }
    expect(seen).toEqual([
      'Try again in 15 minutes.',
      'Try again in 14 minutes.',
      'Try again in 1 minute.',
      'Try again in less than a minute.',
      'You can try again now.',
    ]);
    await page.close();
  }, 30_000);

  describe('sign-in page', () => {
    const path = `/${samples.findIndex(({ name }) => name === 'login refused')}`;

    test('shows and hides the password, and sends it from a password field [ASVS 6.2.6]', async () => {
      const page = await browser.newPage();
      await page.goto(origin + path);
      const password = page.getByLabel('Password', { exact: true });
      await password.fill('correct horse');
      await page.getByRole('button', { name: 'Show password' }).click();
      expect(await password.getAttribute('type')).toBe('text');
      await page.getByRole('button', { name: 'Hide password' }).click();
      expect(await password.getAttribute('type')).toBe('password');
      await page.getByRole('button', { name: 'Show password' }).click();
      const sent = page.waitForRequest((request) => request.method() === 'POST');
      await page.getByRole('button', { name: 'Sign in' }).click();
      const form = new URLSearchParams((await sent).postData() ?? '');
      expect(Object.fromEntries(form)).toEqual({
        csrf: 'czRtcGxl',
        email: 'alice@acme.test',
        password: 'correct horse',
      });
      await page.close();
    }, 30_000);

    test('works without scripts and then offers no button that does nothing', async () => {
      const context = await browser.newContext({ javaScriptEnabled: false });
      const page = await context.newPage();
      await page.goto(origin + path);
      expect(await page.getByRole('button').allTextContents()).toEqual([
        'Sign in',
        'Cancel and return to Orders',
      ]);
      await page.keyboard.type('correct horse');
      const sent = page.waitForRequest((request) => request.method() === 'POST');
      await page.keyboard.press('Enter');
      expect(new URLSearchParams((await sent).postData() ?? '').get('password')).toBe('correct horse');
      await context.close();
    }, 30_000);

    test('can be walked by keyboard in reading order with a focus that shows [WCAG 2.4.7]', async () => {
      const page = await browser.newPage();
      await page.goto(origin + path);
      await page.getByLabel('Email').focus();
      const stops: unknown[] = [];
      for (let i = 0; i < 6; i++) {
        stops.push(await page.evaluate(focused));
        await page.keyboard.press('Tab');
      }
      expect(stops).toEqual([
        'email, outlined',
        'password, outlined',
        'Show, outlined',
        'Sign in, outlined',
        'Use a different workspace, outlined',
        'Cancel and return to Orders, outlined',
      ]);
      await page.close();
    }, 30_000);
  });
}

function answer({ url = '' }: IncomingMessage, response: ServerResponse, requests: string[]): void {
  requests.push(url);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.setHeader('content-security-policy', policy);
  const source = url === '/planted' ? planted : samples[Number.parseInt(url.slice(1), 10)]?.render();
  response.end(url.endsWith('?bare') ? source?.replace(/<script.*<\/script>/s, '') : source);
}

/** The ids of the rules that axe finds broken, whatever their weight. */
async function faults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
  return violations.map(({ id }) => id);
}

// The checks below run in the page and are text, since this project's types know no DOM.

/** The elements that reach past the pane, with `html` first when the page scrolls sideways. */
function stickingOut(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const root = document.documentElement;
    const pane = document.querySelector('.pane');
    const { left, right } = pane.getBoundingClientRect();
    const out = [...pane.querySelectorAll('*')].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && (box.left < left - 1 || box.right > right + 1);
    });
    if (root.scrollWidth > root.clientWidth) out.unshift(root);
    return out.map((element) => element.localName);
  })()`);
}

const focused = `(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const outlined = outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2;
  return (element.id || element.textContent) + (outlined ? ', outlined' : ', not outlined');
})()`;
