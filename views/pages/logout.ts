import { html } from 'hono/html';
import { fill, name } from '#views/components/names.ts';
import { layout, type PageClient, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

/** `xsrf` is the provider's own token for `form_action`. */
export type LogoutProps = {
  form_action: string;
  xsrf: string;
  client?: PageClient;
  user?: { email: string };
};

/**
 * Gives the page that asks whether to sign out (OpenID Connect RP-Initiated Logout 1.0 section 2). Both
 * buttons send the same form; only one of them carries `logout`.
 */
export function logoutPage(page: PageContext, props: LogoutProps): string {
  const words = text(page.lang);
  const { logout } = words;
  const client = props.client && name(props.client.client_name, words.unnamed_client);
  const workspace = page.tenant && name(page.tenant.name, page.product);

  return layout(page, {
    title: logout.title,
    body: html`<h1>${workspace ? fill(logout.title_workspace, { workspace }) : logout.title}</h1>
${props.user && html`<p class="lead">${fill(logout.lead, { email: html`<strong>${name(props.user.email, '')}</strong>` })}</p>`}
${client && html`<p>${fill(logout.lead_client, { client })}</p>`}
<form class="choice" method="post" action="${props.form_action}">
<input type="hidden" name="xsrf" value="${props.xsrf}">
<button class="primary" type="submit" name="logout" value="yes">${logout.submit}</button>
<button class="secondary" type="submit">${logout.stay}</button>
</form>`,
  });
}
