import type Router from '@koa/router';
import type { Context } from 'koa';
import { AnswerError } from '#src/lib/answer-error.ts';
import type { KeptMail } from '#src/lib/mailbox.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { devMailboxPage, devMailPage } from '#views/pages/dev-mail.ts';
import type { PageDependencies } from './pages.ts';

const root = '/dev/mail';

/**
 * `/dev/mail`: what a development server without SMTP_URL would have sent. The routes do not exist in production or with a
 * mail server.
 */
export function devMail(router: Router, { services: { mail } }: PageDependencies): void {
  const { mailbox } = mail;
  if (!mailbox) {
    return;
  }
  const get = async (ctx: Context & { params: Record<string, string> }): Promise<KeptMail> => {
    const found = await mailbox.find(ctx.params['name']!);
    if (!found) {
      throw new AnswerError(404, 'not_found');
    }
    return found;
  };

  router.get(root, async (ctx) => {
    const mails = (await mailbox.list()).map((kept) => ({ ...kept, href: `${root}/${kept.name}` }));
    ctx.type = 'html';
    ctx.body = devMailboxPage(pageContext(ctx), { mails });
  });
  router.get(`${root}/:name`, async (ctx) => {
    const { name, text, ...heads } = await get(ctx);
    ctx.type = 'html';
    ctx.body = devMailPage(pageContext(ctx), {
      ...heads,
      body: text,
      back_href: root,
      html_href: `${root}/${name}/html`,
      source_href: `${root}/${name}/source`,
    });
  });
  router.get(`${root}/:name/html`, async (ctx) => {
    const { html } = await get(ctx);
    // As a mail program shows it: styles of its own, nothing else, and no part of this origin.
    ctx.set(
      'content-security-policy',
      "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    );
    ctx.type = 'html';
    ctx.body = html;
  });
  router.get(`${root}/:name/source`, async (ctx) => {
    const { name } = await get(ctx);
    ctx.type = 'text/plain; charset=utf-8';
    ctx.body = await mailbox.readSource(name);
  });
}
