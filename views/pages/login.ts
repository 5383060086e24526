import { html } from 'hono/html';
import { alert, alertId, csrfField, describedBy, emailField, passwordField } from '#views/components/form.ts';
import { fill, name, webHref } from '#views/components/names.ts';
import { revealScript } from '#views/components/script.ts';
import { type Html, layout, type PageClient, type PageContext } from '#views/layout.ts';
import { findText, text, type Words } from '#views/text/text.ts';

/** `email` is the value to keep after a refusal; a password is never given back. */
export type LoginProps = {
  action: string;
  csrf: string;
  client: PageClient;
  email?: string;
  error?: 'wrong_credentials' | 'too_long_for_import' | 'expired' | 'missing' | 'busy';
  cancel_action?: string;
  switch_workspace_href?: string;
};

/** Gives the page that asks for email and password; the same one for the first look and after a refusal. */
export function loginPage(page: PageContext, props: LoginProps): string {
  const words = text(page.lang);
  const { login } = words;
  const client = name(props.client.client_name, words.unnamed_client);
  const workspace = page.tenant && name(page.tenant.name, page.product);
  const problem = problemText(login, props);

  return layout(page, {
    title: `${problem ? `${words.error_prefix} ` : ''}${login.title}`,
    script: revealScript,
    body: html`<h1>${workspace ? fill(login.title_workspace, { workspace }) : login.title}</h1>
<p class="lead">${fill(login.lead, { client: html`<strong>${client}</strong>` })}</p>
${alert(problem)}
<form class="stack" method="post" action="${props.action}">
${csrfField(props.csrf)}
${fields(words, props, problem)}
<button class="primary" type="submit">${login.submit}</button>
</form>
${ways(login, props, client)}`,
  });
}

function fields(words: Words, props: LoginProps, problem: string | undefined): Html {
  const invalid = ['wrong_credentials', 'missing', 'too_long_for_import'].includes(props.error ?? '');
  const state = html`${invalid && html` aria-invalid="true"`}${describedBy(problem && alertId)}`;
  const first = html` autofocus`;
  return html`${emailField(words, props.email, html`${!props.email && first}${state}`)}
${passwordField(words, {
  id: 'password',
  label: words.login.password,
  autocomplete: 'current-password',
  attributes: html`${props.email && first}${state}`,
})}`;
}

/** The ways out: to another workspace, or back to the client without signing in. */
function ways(login: Words['login'], props: LoginProps, client: Html): Html | false {
  const switchHref = webHref(props.switch_workspace_href);
  if (!switchHref && !props.cancel_action) return false;
  return html`<div class="ways">
${switchHref && html`<a href="${switchHref}">${login.switch_workspace}</a>`}
${
  props.cancel_action &&
  html`<form method="post" action="${props.cancel_action}">${csrfField(props.csrf)}<button class="link" type="submit">${fill(login.cancel, { client })}</button></form>`
}
</div>`;
}

function problemText(login: Words['login'], { error, email }: LoginProps): string | undefined {
  if (error === 'missing' && email) return login.errors.missing_password;
  return findText(login.errors, error);
}
