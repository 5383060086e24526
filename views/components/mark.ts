import { html, raw } from 'hono/html';
import type { Html } from '#views/layout.ts';

// A T of five tiles in a mosaic of nine; one of the five is the keystone.
const tiles = [
  { x: 1, y: 1, kind: 'solid' },
  { x: 9, y: 1, kind: 'key' },
  { x: 17, y: 1, kind: 'solid' },
  { x: 1, y: 9, kind: 'faint' },
  { x: 9, y: 9, kind: 'solid' },
  { x: 17, y: 9, kind: 'faint' },
  { x: 1, y: 17, kind: 'faint' },
  { x: 9, y: 17, kind: 'solid' },
  { x: 17, y: 17, kind: 'faint' },
];
const shapes = (extra: (kind: string) => string) =>
  tiles
    .map(({ x, y, kind }) => `<rect x="${x}" y="${y}" width="7" height="7" rx="1.4"${extra(kind)}/>`)
    .join('');

const drawing = `<svg class="mark" viewBox="0 0 25 25" aria-hidden="true" focusable="false">${shapes(
  (kind) => ` class="${kind}"`,
)}</svg>`;

const fills: Record<string, string> = { solid: '#0b655c', key: '#c98a2b', faint: '#9fc4bd' };
const iconDrawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 25 25">${shapes(
  (kind) => ` fill="${fills[kind]}"`,
)}</svg>`;

/** The browser tab's icon as a data URL, so that no page asks for another file. */
export const icon = `data:image/svg+xml,${encodeURIComponent(iconDrawing)}`;

/** The product's mark; decoration beside its written name. */
export function mark(): Html {
  return raw(drawing);
}

/** A workspace's tile: the first character of its name. `owner` is already fit for display. */
export function monogram(owner: string): Html {
  const [first] = new Intl.Segmenter().segment(owner);
  return html`<span class="monogram" role="img" aria-label="${owner}"><bdi aria-hidden="true">${first?.segment.toLocaleUpperCase()}</bdi></span>`;
}
