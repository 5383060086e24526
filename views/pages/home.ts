import { html } from 'hono/html';
import { displayText, fill, webUrl } from '#views/components/names.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

export type HomeProps = { issuer: string; demo?: boolean };

/** Gives the page at `/`, which says what this server is (OpenID Connect Discovery 1.0 section 4). */
export function homePage(page: PageContext, props: HomeProps): string {
  const { home } = text(page.lang);
  const discovery = webUrl(`${props.issuer}/.well-known/openid-configuration`);

  return layout(page, {
    title: home.title,
    body: html`<h1>${home.title}</h1>
<p class="lead">${home.lead}</p>
<dl class="facts">
<div><dt>${home.issuer}</dt><dd class="code">${displayText(props.issuer, 200)}</dd></div>
${discovery && html`<div><dt>${home.discovery}</dt><dd class="code"><a href="${discovery.href}">${discovery.pathname}</a></dd></div>`}
</dl>
${
  props.demo &&
  html`<section class="note">
<h2>${home.demo_title}</h2>
<p>${fill(home.demo, { first: html`<strong>acme</strong>`, second: html`<strong>globex</strong>`, file: html`<code>.data/demo.json</code>` })}</p>
</section>`
}`,
  });
}
