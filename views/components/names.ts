import { html } from 'hono/html';
import type { Html } from '#views/layout.ts';

// Controls, line and paragraph separators, bidirectional controls, invisible joints, soft hyphens and tag
// characters. The zero-width joiner and non-joiner stay: emoji, Persian and Indic names need them.
const unseen =
  /[\p{Cc}\p{Zl}\p{Zp}\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]+/gu;
const piledMarks = /(\p{M}{3})\p{M}+/gu;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * Makes a text that others chose fit to be shown as one line: no control or bidirectional characters, no
 * piled-up accents, single spaces, and at most `max` characters as people count them. May give ''.
 */
export function displayText(value: string, max = 80): string {
  // A character as people count them may be long; the bound keeps the work small whatever was sent.
  const bounded = value.slice(0, max * 16).toWellFormed();
  const line = bounded.replace(unseen, ' ').replace(piledMarks, '$1').replace(/\s+/gu, ' ').trim();
  const characters = Array.from(graphemes.segment(line), ({ segment }) => segment);
  const cut = characters.length > max || bounded.length < value.length;
  return cut
    ? `${characters
        .slice(0, max - 1)
        .join('')
        .trimEnd()}…`
    : line;
}

/** Gives a name cleaned by `displayText` and shut in by `bdi`, so that it cannot turn the words around it. */
export function name(value: string, fallback: string): Html {
  return html`<bdi>${displayText(value) || fallback}</bdi>`;
}

/** Gives the URL when it is an absolute http or https one; `javascript:`, `data:` and the rest give nothing. */
export function webUrl(value: string | undefined): URL | undefined {
  const url = value === undefined ? null : URL.parse(value);
  return url && ['https:', 'http:'].includes(url.protocol) ? url : undefined;
}

/** Gives a link target of ours or of a client when following it stays in http or https, else nothing. */
export function webHref(value: string | undefined): string | undefined {
  const url = value === undefined ? null : URL.parse(value, 'https://here.invalid');
  return url && ['https:', 'http:'].includes(url.protocol) ? value : undefined;
}

/** Puts values into a sentence of the catalogue: `Sign in to {workspace}`. Values are not searched again. */
export function fill(sentence: string, values: Record<string, Html | string>): Html {
  return html`${sentence.split(/\{(\w+)\}/).map((part, i) => (i % 2 ? values[part] : part))}`;
}

/** Does what `fill` does where only plain text may stand, such as a title. Values are cleaned for display. */
export function fillText(sentence: string, values: Record<string, string>): string {
  return sentence.replace(/\{(\w+)\}/g, (_, key: string) => displayText(values[key] ?? ''));
}
