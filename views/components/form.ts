import { html } from 'hono/html';
import type { Html } from '#views/layout.ts';

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

/** The `id`s that explain a field, joined for `aria-describedby`; nothing when there are none. */
export function describedBy(...ids: (string | false | undefined)[]): Html | false {
  const present = ids.filter((id) => typeof id === 'string');
  return present.length > 0 && html` aria-describedby="${present.join(' ')}"`;
}
