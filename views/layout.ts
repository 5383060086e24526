import { html, raw } from 'hono/html';
import { icon, mark, monogram } from '#views/components/mark.ts';
import { mosaic } from '#views/components/mosaic.ts';
import { displayText } from '#views/components/names.ts';
import { paper, style } from '#views/components/style.ts';
import { text } from '#views/text/text.ts';

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

/** `script` is code of ours; the page must do its work without it, too. */
type Content = { title: string; body: Html; script?: string };

/**
 * Gives the whole document around a page's body. The stylesheet and the script are inline under the
 * nonce of the Content-Security-Policy; nothing else is loaded. `lang` is the language of the words that are
 * really used, which need not be the one asked for (WCAG 3.1.1).
 */
export function layout(page: PageContext, { title, body, script }: Content): string {
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
<div class="sheet">
<div class="art" aria-hidden="true">${mosaic(page.tenant?.slug ?? page.product)}</div>
<div class="pane">
<header class="brand">${page.tenant ? monogram(owner) : html`${mark()}<span>${page.product}</span>`}</header>
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
