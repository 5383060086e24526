import { html } from 'hono/html';
import type { Html } from '#views/layout.ts';
import type { Words } from '#views/text/text.ts';

/**
 * A moment in milliseconds since 1970, in UTC, which says so. With `momentScript` the reader sees the time of their own clock
 * instead, and the one in UTC on pointing at it.
 */
export function moment({ lang }: Words, milliseconds: number): Html {
  const date = new Date(milliseconds);
  const shown = new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });
  return html`<time datetime="${date.toISOString()}">${shown.format(date)} UTC</time>`;
}

export const momentScript = `
for (const time of document.querySelectorAll('time')) {
  const shown = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });
  time.title = time.textContent;
  time.textContent = shown.format(new Date(time.dateTime));
}
`;
