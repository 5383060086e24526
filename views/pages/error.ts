import { html } from 'hono/html';
import { displayText, webHref } from '#views/components/names.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

/** `title` and `message` are for people; `error` is the OAuth code (RFC 6749 section 4.1.2.1). */
export type ErrorProps = {
  status: number;
  title: string;
  message: string;
  error?: string;
  return_href?: string;
};

/** Gives the page for everything that went wrong. What it prints is only what it is given: never a stack. */
export function errorPage(page: PageContext, props: ErrorProps): string {
  const words = text(page.lang);
  const title = displayText(props.title, 120);
  const back = webHref(props.return_href);

  return layout(page, {
    title,
    body: html`<p class="status">${props.status}</p>
<h1>${title}</h1>
<p class="lead">${displayText(props.message, 400)}</p>
${back && html`<p class="choice"><a class="secondary" href="${back}">${words.error.return}</a></p>`}
<dl class="facts">
${props.error && html`<div><dt>${words.error.code}</dt><dd class="code">${displayText(props.error)}</dd></div>`}
<div><dt>${words.error.reference}</dt><dd class="code">${displayText(page.request_id)}</dd></div>
</dl>
<p class="quiet">${words.error.help}</p>`,
  });
}
