import { html } from 'hono/html';
import type { Html } from '#views/layout.ts';
import type { Words } from '#views/text/text.ts';

/** The id that fields point at with `aria-describedby` while the page shows an alert. */
export const alertId = 'problem';

/** A message about the whole form, read out at once. */
export function alert(message: string | undefined): Html | false {
  if (!message) return false;
  return html`<div class="alert" id="${alertId}" role="alert">
<svg viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d="M10 1.6 18.4 10 10 18.4 1.6 10Z"/><path d="M10 6v5M10 13.4v.6"/></svg>
<p>${message}</p>
</div>`;
}

/** The hidden field that every form of ours carries. */
export function csrfField(csrf: string): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}

/** A password field with its label and a button to see what was typed; `attributes` and `below` are the page's own. */
export function passwordField(
  words: Words,
  field: {
    id: string;
    label: string;
    autocomplete: 'current-password' | 'new-password';
    attributes?: Html;
    below?: Html | false;
  },
): Html {
  const { show, hide, show_label, hide_label } = words.login;
  return html`<div class="field">
<label for="${field.id}">${field.label}</label>
<div class="reveal">
<input id="${field.id}" name="${field.id}" type="password" autocomplete="${field.autocomplete}" required${field.attributes}>
<button type="button" hidden data-reveal="${field.id}" data-show="${show}" data-hide="${hide}" data-show-label="${show_label}" data-hide-label="${hide_label}" aria-label="${show_label}">${show}</button>
</div>
${field.below}</div>`;
}

/** The field of the address that names the account; `attributes` are the page's own. */
export function emailField(words: Words, email: string | undefined, attributes: Html): Html {
  return html`<div class="field">
<label for="email">${words.login.email}</label>
<input id="email" name="email" type="email" inputmode="email" autocomplete="username" autocapitalize="none" spellcheck="false" required value="${email}"${attributes}>
</div>`;
}

/** The `id`s that explain a field, joined for `aria-describedby`; nothing when there are none. */
export function describedBy(...ids: (string | false | undefined)[]): Html | false {
  const present = ids.filter((id) => typeof id === 'string');
  return present.length > 0 && html` aria-describedby="${present.join(' ')}"`;
}
