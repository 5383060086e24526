import { html } from 'hono/html';
import { alert, alertId, csrfField, describedBy, emailField, passwordField } from '#views/components/form.ts';
import { fill, fillText, name } from '#views/components/names.ts';
import { type PasswordRefusal, refusalText } from '#views/components/password.ts';
import { revealScript, strengthScript } from '#views/components/script.ts';
import { type Html, layout, type PageClient, type PageContext } from '#views/layout.ts';
import { findText, text, type Words } from '#views/text/text.ts';

/** `email` is the value to keep; passwords are never given back. `minimum` counts characters. */
export type NewPasswordProps = {
  action: string;
  /** Judges a password while it is typed. */
  check_action: string;
  cancel_action: string;
  csrf: string;
  client: PageClient;
  minimum: number;
  email?: string;
  error?: 'missing' | 'wrong_credentials' | 'too_long_for_import' | 'busy';
  refusal?: PasswordRefusal;
};

/** Gives the page on which somebody whose password is known to others chooses a new one before anything else. */
export function newPasswordPage(page: PageContext, props: NewPasswordProps): string {
  const words = text(page.lang);
  const { password } = words;
  const client = name(props.client.client_name, words.unnamed_client);
  const problem = problemText(words, props);

  return layout(page, {
    title: `${problem ? `${words.error_prefix} ` : ''}${password.title}`,
    script: revealScript + strengthScript,
    body: html`<h1>${password.title}</h1>
<p class="lead">${password.lead}</p>
${alert(problem)}
<form class="stack" method="post" action="${props.action}">
${csrfField(props.csrf)}
${fields(words, props, problem)}
<button class="primary" type="submit">${password.submit}</button>
</form>
<div class="ways">
<form method="post" action="${props.cancel_action}">${csrfField(props.csrf)}<button class="link" type="submit">${fill(words.login.cancel, { client })}</button></form>
</div>`,
  });
}

function fields(words: Words, props: NewPasswordProps, problem: string | undefined): Html {
  const { password } = words;
  const isUnknown = ['wrong_credentials', 'missing', 'too_long_for_import'].includes(props.error ?? '');
  const isWeak = props.refusal !== undefined || props.error === 'missing';
  const invalid = (is: boolean) => is && html` aria-invalid="true"`;
  const known = html`${invalid(isUnknown)}${describedBy(isUnknown && alertId)}`;
  const first = html` autofocus`;
  return html`${emailField(words, props.email, html`${!props.email && first}${known}`)}
${passwordField(words, {
  id: 'password',
  label: password.current,
  autocomplete: 'current-password',
  attributes: html`${props.email && first}${known}`,
})}
${passwordField(words, {
  id: 'new_password',
  label: password.new,
  autocomplete: 'new-password',
  attributes: html` data-check="${props.check_action}"${invalid(isWeak)}${describedBy('hint', problem !== undefined && isWeak && alertId)}`,
  below: html`<p class="hint" id="hint">${fillText(password.hint, { minimum: String(props.minimum) })}</p>
<div class="strength" id="strength" role="meter" aria-label="${password.strength}" aria-valuemin="0" aria-valuemax="4" aria-valuenow="0" hidden></div>
<p class="hint" id="verdict" aria-live="polite"></p>
`,
})}`;
}

function problemText(words: Words, { error, refusal, minimum }: NewPasswordProps): string | undefined {
  if (refusal) return refusalText(words, refusal, minimum);
  return error === 'missing' ? words.password.missing : findText(words.login.errors, error);
}
