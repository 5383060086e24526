import { html } from 'hono/html';
import type { Html } from '#views/layout.ts';

const rings = 20;
const step = 34;
// Out from the centre: sand, then the accent from pale to deep and back, like water around a light.
const tints = [
  's0',
  's1',
  's2',
  'a0',
  'a1',
  'a2',
  'a3',
  'a4',
  'a5',
  'a4',
  'a3',
  'a2',
  'a3',
  'a4',
  'a5',
  'a6',
];

/**
 * Draws the rings of tiles beside the page. The seed, a workspace's slug, places the centre and scatters the
 * tiles, so that a workspace has the same picture every time and people come to know theirs.
 *
 * A ring is a circle whose dashes are its tiles: `pathLength` counts ten to a tile, nine of stone and one of
 * grout, so all numbers are whole and the scattered tiles lie exactly on those below.
 */
export function mosaic(seed: string, shape: 'page' | 'band' = 'page'): Html {
  const random = randomFrom(seed);
  const x = Math.round(40 + random() * 320);
  const y = Math.round(450 + random() * 60);
  return html`<svg viewBox="${shape === 'band' ? '-280 424 960 112' : '0 0 400 640'}" preserveAspectRatio="xMidYMid slice" focusable="false"><g transform="translate(${x} ${y})"><circle class="sun" r="15"/>${Array.from({ length: rings }, (_, i) => ring(i + 1, random))}</g></svg>`;
}

function ring(index: number, random: () => number): Html {
  const radius = index * step;
  const length = Math.round((2 * Math.PI * radius) / step) * 10;
  const tint = (i: number) => tints[Math.min(Math.max(i, 0), tints.length - 1)];
  const stones = (kind: string | undefined, dashes: string) =>
    html`<circle class="${kind}" r="${radius}" pathLength="${length}" stroke-dasharray="${dashes}"/>`;
  return html`<g transform="rotate(${Math.floor(random() * 360)})">${[
    stones(tint(index), '9 1'),
    stones(tint(index - 1), scatter(random)),
    stones(tint(index + 1), scatter(random)),
    index % 5 === 0 && stones('s1', scatter(random, 23)),
  ]}</g>`;
}

/** Dashes that pick two tiles of every `period`; the pattern repeats around the ring by itself. */
function scatter(random: () => number, period = 7 + Math.floor(random() * 6)): string {
  const first = Math.floor(random() * (period - 3));
  const skip = 1 + Math.floor(random() * (period - first - 2));
  return `0 ${first * 10} 9 ${skip * 10 - 9} 9 ${(period - first - skip) * 10 - 9}`;
}

// FNV-1a into mulberry32: the same everywhere, and nothing here needs to be unguessable.
function randomFrom(seed: string): () => number {
  let state = 2166136261;
  for (const character of seed.slice(0, 64)) state = Math.imul(state ^ character.codePointAt(0)!, 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
