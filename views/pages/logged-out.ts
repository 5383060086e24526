import { html } from 'hono/html';
import { fill, name, webUrl } from '#views/components/names.ts';
import { layout, type PageClient, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

export type LoggedOutProps = { client?: PageClient };

/** Gives the page that says the sign-out is done, with a way back when the client has a website. */
export function loggedOutPage(page: PageContext, props: LoggedOutProps): string {
  const words = text(page.lang);
  const { logged_out } = words;
  const client = props.client && name(props.client.client_name, words.unnamed_client);
  const back = webUrl(props.client?.client_uri);

  return layout(page, {
    title: logged_out.title,
    body: html`<h1>${logged_out.title}</h1>
<p class="lead">${logged_out.lead}</p>
${client && back && html`<p class="choice"><a class="secondary" href="${back.href}">${fill(logged_out.return, { client })}</a></p>`}`,
  });
}
