import { html } from 'hono/html';
import { fill } from '#views/components/names.ts';
import type { Html } from '#views/layout.ts';
import type { Words } from '#views/text/text.ts';

/** A sentence that says how long to wait, in words; `countdownScript` keeps it true while the page is open. */
export function waitingTime(words: Words, seconds: number): Html {
  const { wait, over, units } = words.too_many_requests;
  const value = html`<strong data-time>${inWords(units, seconds)}</strong>`;
  return html`<span data-countdown="${Math.max(0, Math.ceil(seconds))}" data-minutes="${units.minutes}" data-minute="${units.minute}" data-soon="${units.soon}" data-over="${over}">${fill(wait, { time: value })}</span>`;
}

function inWords(units: Words['too_many_requests']['units'], seconds: number): string {
  const minutes = Math.ceil(seconds / 60);
  if (seconds < 60) {
    return units.soon;
  }
  return minutes === 1 ? units.minute : units.minutes.replace('{minutes}', String(minutes));
}
