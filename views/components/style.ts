/** The ground behind the page, also told to the browser for its own frame. */
export const paper = { light: '#f1ede4', dark: '#0f1514' };

/**
 * The whole stylesheet. Colours are the custom properties at the top and nowhere else; `--accent`,
 * `--accent-deep`, `--on-accent` are what a workspace may replace, and the mosaic follows them.
 */
export const style = `
:root {
  color-scheme: light dark;
  --accent: #0b655c; --accent-deep: #084d46; --on-accent: #fff;
  --paper: ${paper.light}; --sheet: #fffdf8; --sunk: #f5f1e7;
  --ink: #1b2624; --quiet: #56615d; --hair: #e3ddd0; --edge: #7d8783;
  --danger: #9c2518; --danger-wash: #fbebe6;
  --sand: #e9b961; --near: #e8f1ec; --far: var(--accent); --deep: #06302c;
  --shade: 0 1px 2px rgb(40 34 20 / 6%), 0 12px 40px -12px rgb(40 34 20 / 18%);
  --serif: 'Iowan Old Style', 'Palatino Linotype', 'URW Palladio L', P052, Charter, Georgia, serif;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif;
  --mono: ui-monospace, 'Cascadia Mono', 'SF Mono', Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --accent: #7fd4c5; --accent-deep: #a5e3d8; --on-accent: #05211d;
    --paper: ${paper.dark}; --sheet: #18201e; --sunk: #111816;
    --ink: #e8eeeb; --quiet: #a4b1ac; --hair: #2b3532; --edge: #76847e;
    --danger: #ffab9c; --danger-wash: #3a1e1a;
    --sand: #dba64a; --near: #5b9a8d; --far: color-mix(in oklab, var(--accent) 42%, #0b2b27); --deep: #0a201d;
    --shade: 0 1px 2px rgb(0 0 0 / 40%), 0 16px 48px -12px rgb(0 0 0 / 60%);
  }
}

*, ::before, ::after { box-sizing: border-box; }
body, h1, h2, h3, p, ul, dl, dd { margin: 0; padding: 0; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; background: var(--paper); }
body {
  min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column; align-items: center;
  color: var(--ink); font: 1rem/1.5 var(--sans); overflow-wrap: anywhere;
}

.sheet {
  width: 100%; flex: 1; display: grid; grid-template-rows: auto 1fr; background: var(--sheet);
}
.art { aspect-ratio: 400 / 116; overflow: hidden; background: var(--sheet); }
.art svg { display: block; width: 100%; aspect-ratio: 400 / 640; margin-top: -104%; }
.art g { fill: none; stroke-width: 31; }
.pane { padding: 1.75rem 1.25rem 2.25rem; min-width: 0; }
.pane > * { max-width: 27rem; margin-inline: auto; }
.foot {
  width: 100%; padding: .9rem 1.25rem; display: flex; gap: .5rem; align-items: center; justify-content: center;
  color: var(--quiet); background: var(--sheet); border-top: 1px solid var(--hair); font-size: .8125rem;
}

@media (min-width: 37.5rem) {
  body { padding: 2rem 2rem 0; }
  .sheet { flex: none; margin-block: auto; max-width: 34rem; border-radius: 1.25rem; overflow: hidden; box-shadow: var(--shade); }
  .pane { padding: 2.25rem 3rem 3rem; }
  .foot { background: none; border: 0; padding-block: 1.5rem; }
}
@media (min-width: 56rem) {
  .sheet { max-width: 60rem; min-height: 38rem; grid-template: 1fr / 5fr 7fr; }
  .art { aspect-ratio: auto; position: relative; }
  .art svg { position: absolute; inset: 0; height: 100%; margin: 0; }
  .pane { display: flex; flex-direction: column; justify-content: center; padding: 3rem 3.5rem; }
  .pane > * { width: 100%; }
}

.sun { fill: var(--sand); }
.s0 { stroke: color-mix(in oklab, var(--sand) 94%, var(--near)); }
.s1 { stroke: color-mix(in oklab, var(--sand) 80%, var(--near)); }
.s2 { stroke: color-mix(in oklab, var(--sand) 44%, var(--near)); }
.a0 { stroke: var(--near); }
.a1 { stroke: color-mix(in oklab, var(--far) 22%, var(--near)); }
.a2 { stroke: color-mix(in oklab, var(--far) 42%, var(--near)); }
.a3 { stroke: color-mix(in oklab, var(--far) 64%, var(--near)); }
.a4 { stroke: color-mix(in oklab, var(--far) 86%, var(--near)); }
.a5 { stroke: color-mix(in oklab, var(--far) 72%, var(--deep)); }
.a6 { stroke: color-mix(in oklab, var(--far) 40%, var(--deep)); }

.brand { display: flex; align-items: center; gap: .6rem; margin-bottom: 1.5rem; font: 600 1.0625rem/1 var(--serif); }
.mark { width: 1.125em; height: 1.125em; flex: none; fill: currentcolor; }
.brand .mark { width: 1.75rem; height: 1.75rem; }
.mark .solid { fill: var(--accent); }
.mark .key { fill: var(--sand); }
.mark .faint { fill: var(--accent); opacity: .28; }
.monogram {
  width: 3rem; height: 3rem; display: grid; place-items: center; border-radius: .625rem;
  color: var(--on-accent); background: var(--accent); font: 600 1.5rem/1 var(--serif);
}

h1 { font: 500 1.875rem/1.2 var(--serif); letter-spacing: -.015em; text-wrap: balance; }
.quiet + h1 { margin-top: .5rem; }
h2 { font: 600 1rem/1.4 var(--sans); margin-top: 1.5rem; }
h3 { font: 600 .9375rem/1.4 var(--sans); }
strong { font-weight: 600; }
.lead { margin-top: .5rem; color: var(--quiet); font-size: 1.0625rem; }
.lead strong { color: var(--ink); }
.lead + p:not([class]) { margin-top: .5rem; }
.quiet { margin-top: 1rem; color: var(--quiet); font-size: .875rem; }
.code, code { font-family: var(--mono); font-size: .875em; }
.status { color: var(--quiet); font: 1rem/1 var(--mono); margin-bottom: .5rem; }

.stack { display: grid; gap: 1.25rem; margin-top: 1.75rem; }
.field { display: grid; gap: .375rem; }
label { font-weight: 600; font-size: .9375rem; }
.hint { color: var(--quiet); font-size: .875rem; }
input {
  width: 100%; min-height: 3rem; padding: .625rem .875rem; border: 1px solid var(--edge); border-radius: .625rem;
  color: var(--ink); background: var(--sheet); font: inherit; appearance: none;
}
.strength { height: .5rem; border-radius: .25rem; overflow: hidden; background: var(--hair); }
.strength::before { content: ''; display: block; width: 25%; height: 100%; background: var(--danger); }
.strength[aria-valuenow='2']::before { width: 50%; background: var(--accent); }
.strength[aria-valuenow='3']::before { width: 75%; background: var(--accent); }
.strength[aria-valuenow='4']::before { width: 100%; background: var(--accent); }
input[aria-invalid] { border-color: var(--danger); border-width: 2px; }
.reveal { position: relative; }
.reveal input { padding-inline-end: 5rem; }
.reveal button {
  position: absolute; inset-block: .25rem; inset-inline-end: .25rem; min-width: 4rem; border: 0; border-radius: .5rem;
  color: var(--accent); background: none; font: 600 .875rem/1 var(--sans); cursor: pointer;
}

.primary, .secondary {
  display: inline-block; padding: .6875rem .5rem; border-radius: .625rem; font: 600 1rem/1.5 var(--sans);
  text-align: center; text-decoration: none; cursor: pointer;
}
.primary { border: 1px solid transparent; color: var(--on-accent); background: var(--accent); }
.primary:hover { background: var(--accent-deep); }
.secondary { border: 1px solid var(--edge); color: var(--ink); background: var(--sheet); }
.secondary:hover, .reveal button:hover { background: var(--sunk); }
.primary:active, .secondary:active { translate: 0 1px; }
a, .link { color: var(--accent); text-underline-offset: .2em; text-decoration: underline; text-decoration-thickness: 1px; }
a:hover, .link:hover { text-decoration-thickness: 2px; }
.link { min-height: 1.5rem; padding: 0; border: 0; background: none; font: inherit; text-align: start; cursor: pointer; overflow-wrap: anywhere; }
.ways { display: grid; gap: .75rem; justify-items: start; margin-top: 1.75rem; padding-top: 1.25rem; border-top: 1px solid var(--hair); font-size: .9375rem; }
.choice { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; margin-top: 1.75rem; list-style: none; }
.choice li { display: grid; }

:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
input:focus-visible { outline-offset: -1px; border-color: var(--accent); }

.alert {
  display: flex; gap: .75rem; margin-top: 1.5rem; padding: .875rem 1rem; border-radius: .625rem;
  color: var(--danger); background: var(--danger-wash); border: 1px solid currentcolor;
}
.alert svg { width: 1.375rem; height: 1.375rem; flex: none; fill: none; stroke: currentcolor; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }

.person { margin-top: 1.5rem; padding: .75rem 1rem; border-radius: .625rem; background: var(--sunk); font-size: .9375rem; }
.person > * { display: block; }
.person span { color: var(--quiet); font-size: .8125rem; }
.person + p:not([class]) { margin-top: 1.25rem; }
.asked { list-style: none; display: grid; gap: .5rem; margin-top: .75rem; }
.asked li { position: relative; padding-inline-start: 1.625rem; }
.asked li::before {
  content: ''; position: absolute; inset-inline-start: .125rem; inset-block-start: .4375rem;
  width: .625rem; height: .625rem; border-radius: .15rem; background: var(--accent);
}
.resource { margin-top: 1.25rem; padding: 1rem; border: 1px solid var(--hair); border-radius: .625rem; }
.resource .code { color: var(--quiet); }
.note { margin-top: 1.75rem; padding: 1rem; border-radius: .625rem; background: var(--sunk); font-size: .9375rem; }
.note h2 { margin: 0 0 .25rem; }
.facts { display: grid; gap: .75rem; margin-top: 1.75rem; padding-top: 1.25rem; border-top: 1px solid var(--hair); }
.mails { list-style: none; margin-top: 1.75rem; border-top: 1px solid var(--hair); }
.mails li { display: grid; padding-block: .75rem; border-bottom: 1px solid var(--hair); }
.mails a { font-weight: 600; }
.letter {
  margin: 1.75rem 0 0; padding: 1rem; border-radius: .625rem; background: var(--sunk);
  font: .875rem/1.6 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere;
}
dt { color: var(--quiet); font-size: .8125rem; }

.wide .art { aspect-ratio: auto; height: 4.5rem; }
.wide .art svg { height: 100%; aspect-ratio: auto; margin: 0; }
.wide .pane > * { max-width: none; }
.wide .brand { flex-wrap: wrap; gap: .75rem 1rem; margin-bottom: 2rem; }
.who { flex: 1 1 8rem; min-width: 0; display: grid; gap: .25rem; font: .875rem/1.3 var(--sans); color: var(--quiet); }
.who strong { color: var(--ink); font-size: 1rem; }
.notice {
  margin-top: 1.25rem; padding: .75rem 1rem; border-radius: .625rem; background: var(--sunk);
  border-inline-start: .25rem solid var(--accent); outline: none;
}
.section { margin-top: 2.25rem; font: 500 1.375rem/1.3 var(--serif); }
.section + .quiet { margin-top: .25rem; }
.empty { margin-top: .75rem; padding: 1.25rem; border: 1px dashed var(--edge); border-radius: .875rem; color: var(--quiet); }
.devices { list-style: none; display: grid; gap: .875rem; margin-top: 1.25rem; }
.device {
  display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .75rem 1rem; padding: 1.25rem;
  border: 1px solid var(--hair); border-radius: .875rem;
}
.device.here { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
.tile { width: 2.75rem; height: 2.75rem; display: grid; place-items: center; border-radius: .625rem; color: var(--accent); background: var(--sunk); }
.here .tile { color: var(--on-accent); background: var(--accent); }
.glyph { width: 1.5rem; height: 1.5rem; fill: none; stroke: currentcolor; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
.about { grid-column: 2; min-width: 0; }
.headline { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; min-height: 2.75rem; min-width: 0; }
.headline h2, .headline h3 { margin: 0; font: 600 1.0625rem/1.35 var(--sans); min-width: 0; }
.badge { padding: .0625rem .625rem; border-radius: 1rem; color: var(--on-accent); background: var(--accent); font: 600 .8125rem/1.5 var(--sans); }
.kind { flex-basis: 100%; color: var(--quiet); font-size: .9375rem; }
.device dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(12rem, 100%), 1fr)); gap: .75rem 1.5rem; }
.device dd { font-size: .9375rem; }
.acts { display: flex; flex-wrap: wrap; gap: .625rem; margin-top: 1.125rem; align-items: start; }
.acts details[open] { flex-basis: 100%; }
.small, summary { min-height: 2.5rem; padding: .4375rem 1rem; font-size: .9375rem; }
summary {
  display: inline-flex; align-items: center; gap: .5rem; border: 1px solid var(--edge); border-radius: .625rem;
  color: var(--ink); background: var(--sheet); font-weight: 600; line-height: 1.5; cursor: pointer; list-style: none;
}
summary::-webkit-details-marker { display: none; }
summary::after {
  content: ''; width: .4375rem; height: .4375rem; flex: none; border: solid currentcolor; border-width: 0 1.6px 1.6px 0;
  translate: 0 -.125rem; rotate: 45deg;
}
[open] > summary::after { translate: 0 .125rem; rotate: 225deg; }
summary:hover, [open] > summary { background: var(--sunk); }
details form { display: grid; gap: .875rem; justify-items: start; max-width: 30rem; margin-top: .75rem; padding: 1rem; border-radius: .625rem; background: var(--sunk); }
details .field { width: 100%; }
.danger {
  min-height: 2.5rem; padding: .4375rem 1rem; border: 1px solid transparent; border-radius: .625rem;
  color: var(--sheet); background: var(--danger); font: 600 .9375rem/1.5 var(--sans); cursor: pointer;
}
.danger:hover { text-decoration: underline; text-underline-offset: .2em; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@media (max-width: 37.49rem) {
  .device { padding: 1rem; }
  .about { grid-column: 1 / -1; }
  .device dl { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .75rem; }
}
@media (min-width: 37.5rem) {
  .wide { max-width: 60rem; }
  .wide .pane { padding: 1.75rem 2.25rem 2.5rem; }
  .wide .art { height: 6rem; }
}
@media (min-width: 56rem) {
  .wide { min-height: 0; grid-template: auto 1fr / minmax(0, 1fr); }
  .wide .art svg { position: static; }
  .wide .pane { display: block; padding: 2rem 3rem 3rem; }
}

@media (max-height: 30rem) and (max-width: 55.99rem) {
  .art { display: none; }
}
@media (prefers-reduced-motion: no-preference) {
  .primary, .secondary, .reveal button { transition: background-color .12s, translate .12s; }
}
@media (forced-colors: active) {
  .art { display: none; }
  .sheet { max-width: 34rem; grid-template: auto / auto; }
  .sheet, .monogram { border: 1px solid; }
  .asked li::before { background: CanvasText; forced-color-adjust: none; }
  .mark rect { fill: CanvasText; }
  .strength { border: 1px solid; }
  .strength::before { background: CanvasText !important; forced-color-adjust: none; }
}
`;
