import { html, raw } from 'hono/html';
import { icon, mark, monogram } from '#views/components/mark.ts';
import { mosaic } from '#views/components/mosaic.ts';
import { displayText, name, webHref } from '#views/components/names.ts';
import { paper, style } from '#views/components/style.ts';
import { text, type Words } from '#views/text/text.ts';

/** Markup that is already escaped; what every component gives. */
export type Html = ReturnType<typeof html>;

/** What every page knows of its request. `tenant` is left out until the workspace is known. */
export type PageContext = {
  nonce: string;
  lang: string;
  request_id: string;
  product: 'Tessera';
  tenant?: { name: string; slug: string };
};

/** The client that a page speaks of, in RFC 7591 words. */
export type PageClient = { client_name: string; client_uri?: string };

/**
 * `script` is code of ours; the page must do its work without it, too. `signed_in` is of the pages behind the sign-in: they
 * are wide, and each shows who is signed in and the way out (ASVS 7.4.4).
 */
type Content = {
  title: string;
  body: Html;
  script?: string;
  signed_in?: { email: string; sign_out_href: string };
};

/**
 * Gives the whole document around a page's body. The stylesheet and the script are inline under the
 * nonce of the Content-Security-Policy; nothing else is loaded. `lang` is the language of the words that are
 * really used, which need not be the one asked for (WCAG 3.1.1).
 */
export function layout(page: PageContext, { title, body, script, signed_in }: Content): string {
  const words = text(page.lang);
  const owner = page.tenant ? displayText(page.tenant.name) || page.product : page.product;
  return String(html`<!doctype html>
<html lang="${words.lang}" dir="${words.dir}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="${paper.light}" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="${paper.dark}" media="(prefers-color-scheme: dark)">
<title>${title} · ${owner}</title>
<link rel="icon" href="${icon}">
<style nonce="${page.nonce}">${raw(style)}</style>
</head>
<body>
<div class="sheet${signed_in && ' wide'}">
<div class="art" aria-hidden="true">${mosaic(page.tenant?.slug ?? page.product, signed_in ? 'band' : 'page')}</div>
<div class="pane">
<header class="brand">${page.tenant ? monogram(owner) : html`${mark()}<span>${page.product}</span>`}${signed_in && wayOut(words, owner, signed_in)}</header>
<main>
${body}
</main>
</div>
</div>
<footer class="foot">${mark()}<span>${words.footer}</span></footer>
${script && html`<script nonce="${page.nonce}">${raw(script)}</script>`}
</body>
</html>
`);
}

function wayOut(
  { signed_in: words }: Words,
  owner: string,
  { email, sign_out_href }: NonNullable<Content['signed_in']>,
): Html {
  return html`<p class="who"><strong><bdi>${owner}</bdi></strong> <span><span class="spoken">${words.as}</span> ${name(email, '')}</span></p>
<a class="secondary small" href="${webHref(sign_out_href)}">${words.sign_out}</a>`;
}
