import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { withTenant } from '#src/database/tenant.ts';
import { chromiumPath, launchBrowser, leaveOut } from '#test/support/browser.ts';
import { createFixture, type Fixture, password, post_logout_redirect_uri } from '#test/support/fixture.ts';
import { authorize, discover } from '#test/support/flow.ts';
import { type Node, startNode } from '#test/support/server.ts';

/** What the client's own pages were asked for: the real way back from a real browser. */
interface ClientSite {
  origin: string;
  requests: { method: string; url: URL; body: string }[];
  close(): void;
}

async function startClientSite(): Promise<ClientSite> {
  const requests: ClientSite['requests'] = [];
  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) {
      body += chunk;
    }
    requests.push({ method: req.method!, url: new URL(req.url!, 'http://client'), body });
    res
      .setHeader('content-type', 'text/html')
      .end('<!doctype html><title>Client</title><h1>Back at the client</h1>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    requests,
    close: () => server.close(),
  };
}

if (!chromiumPath()) {
  test('pages in a real browser', () => leaveOut('the sign-in in a real browser'));
} else {
  describe('in a real browser', () => {
    let fixture: Fixture;
    let node: Node;
    let browser: Browser;
    let site: ClientSite;
    let redirect_uri: string;

    beforeAll(async () => {
      site = await startClientSite();
      redirect_uri = `${site.origin}/callback`;
      fixture = await createFixture();
      await withTenant(fixture.db, fixture.acme.tenant_id, (tx) =>
        tx
          .updateTable('clients')
          .set({
            redirect_uris: [redirect_uri],
            post_logout_redirect_uris: [post_logout_redirect_uri, `${site.origin}/bye`],
          })
          .where('client_id', 'in', ['acme-web', 'acme-third'])
          .execute(),
      );
      node = await startNode(fixture);
      browser = await launchBrowser();
    });
    afterAll(async () => {
      await browser?.close();
      await node?.stop();
      await fixture?.drop();
      site?.close();
    });

    const open = async (
      client_id: string,
      parameters: Record<string, string> = {},
      options: BrowserContextOptions = {},
    ) => {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      page.setDefaultTimeout(10_000);
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error' && !/status of 40[01]/.test(message.text())) {
          complaints.push(message.text());
        }
      });
      const config = await discover(node.url, client_id);
      const { url } = await authorize(config, { redirect_uri, ...parameters });
      await page.goto(url.href);
      return { page, complaints };
    };

    const signIn = async (page: Page, typed = password) => {
      await page.getByLabel('Email', { exact: true }).fill('alice@example.test');
      await page.getByLabel('Password', { exact: true }).fill(typed);
      await page.getByRole('button', { name: 'Sign in' }).click();
    };

    test.each([
      ['with JavaScript', {}],
      ['without JavaScript', { javaScriptEnabled: false }],
      ['on a phone in the dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
    ] as const)('a person signs in, %s, and is back at the client with a code', async (_, options) => {
      const { page, complaints } = await open('acme-web', {}, options as BrowserContextOptions);
      await signIn(page, 'not the password at all');
      await page.getByRole('alert').waitFor();
      expect(await page.getByLabel('Email', { exact: true }).inputValue()).toBe('alice@example.test');
      await signIn(page);
      await page.waitForURL(`${redirect_uri}**`);
      expect(new URL(page.url()).searchParams.get('code')).toBeTruthy();
      expect(new URL(page.url()).searchParams.get('iss')).toBe(node.url);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('form_post posts the answer to the client under our policy [A-135, OAuth 2.0 Form Post Response Mode]', async () => {
      const { page, complaints } = await open('acme-web', { response_mode: 'form_post' });
      await signIn(page);
      await page.waitForURL(`${redirect_uri}**`);
      const posted = site.requests.findLast(({ method }) => method === 'POST')!;
      expect(new URLSearchParams(posted.body).get('code')).toBeTruthy();
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('a third-party client is allowed by the person, or denied [A-140]', async () => {
      const { page, complaints } = await open('acme-third');
      await signIn(page);
      await page.getByRole('button', { name: 'Deny' }).waitFor();
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations).toEqual([]);
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.waitForURL(`${redirect_uri}**`);
      expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied');

      const config = await discover(node.url, 'acme-third');
      await page.goto((await authorize(config, { redirect_uri })).url.href);
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${redirect_uri}?code=**`);
      await page.goto((await authorize(config, { redirect_uri })).url.href);
      await page.waitForURL(`${redirect_uri}?code=**`);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('signing in as somebody else replaces the session and still reaches the client [A-034]', async () => {
      const { page, complaints } = await open('acme-web');
      await signIn(page);
      await page.waitForURL(`${redirect_uri}**`);
      const config = await discover(node.url, 'acme-web');
      await page.goto((await authorize(config, { redirect_uri, prompt: 'login' })).url.href);
      await page.getByLabel('Email', { exact: true }).fill('bob@example.test');
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL(`${redirect_uri}?code=**`);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('cancelling goes back to the client with access_denied', async () => {
      const { page } = await open('acme-web');
      await page.getByRole('button', { name: /^Cancel/ }).click();
      await page.waitForURL(`${redirect_uri}**`);
      expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied');
      await page.context().close();
    });

    test('signing out asks, and Clear-Site-Data and no-store leave nothing behind [A-136]', async () => {
      const { page } = await open('acme-web');
      await signIn(page);
      await page.waitForURL(`${redirect_uri}**`);
      await page.goto(
        `${node.url}/logout?${new URLSearchParams({ client_id: 'acme-web', post_logout_redirect_uri: `${site.origin}/bye` })}`,
      );
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${site.origin}/bye**`);
      const cookies = await page.context().cookies(node.url);
      expect(cookies.filter(({ name }) => name.startsWith('session'))).toEqual([]);
      await page.context().close();
    });
  });
}
