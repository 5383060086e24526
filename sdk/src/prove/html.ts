import type { Attempt, Report } from './report.ts';
import { summary, verdict } from './text.ts';

/** The report as a page that stands alone: no script, no font, nothing that is loaded. Every value is escaped. */
export function reportHtml(report: Report): string {
  const { findings, attempts, controls, unfilled, notes } = report;
  const through = attempts.filter(({ outcome }) => outcome === 'got through').length;
  const open = findings.filter(({ rule }) => rule.startsWith('P-00/')).length;
  const facts: [string, string][] = [
    ['Database', `${report.database}, PostgreSQL ${report.server}`],
    ['Role', report.role],
    ['Date', report.startedAt],
    ['By', `@tessera/rls ${report.version}, in ${(report.duration / 1000).toFixed(1)} s`],
    ['Tables', String(report.tables)],
    ['Attempts', summary(report)],
    ['Own rows', `${controls.filter(({ worked }) => worked).length} of ${controls.length} accesses worked`],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Proof of isolation: ${escaped(report.database)}, ${escaped(report.startedAt.slice(0, 10))}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Proof of isolation</h1>
<p class="verdict ${through + open > 0 ? 'bad' : 'good'}">${escaped(verdict(through, open))}</p>
<dl>${facts.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`).join('')}</dl>
${section(
  'What got through, and what is not proved',
  findings.map(
    ({ rule, object, risk, fix }) =>
      `<article><h3><code>${escaped(object)}</code></h3><p class="rule">${escaped(rule)}</p><p>${escaped(risk)}</p><pre tabindex="0" aria-label="How to mend it">${escaped(fix)}</pre></article>`,
  ),
)}
${section('Where no row could be made', unfilled.length > 0 ? [`<ul>${unfilled.map(({ table, reason }) => `<li><code>${escaped(table)}</code>: ${escaped(reason)}</li>`).join('')}</ul>`] : [])}
<h2>What was tried</h2>
<p>Each attempt was made as the role <code>${escaped(report.role)}</code>, in a transaction that was rolled back. Two tenants had a row in each table; one, and none, reached for the other’s.</p>
${byTable(attempts)
  .map(
    ([table, list]) =>
      `<details${list.some(({ outcome }) => outcome === 'got through') ? ' open' : ''}><summary><code>${escaped(table)}</code> <span>${escaped(short(list))}</span></summary><div class="wide" tabindex="0" role="region" aria-label="${escaped(table)}"><table><thead><tr><th scope="col">Who</th><th scope="col">What</th><th scope="col">Outcome</th><th scope="col">Detail</th></tr></thead><tbody>${list
        .map(
          ({ as, what, outcome, detail }) =>
            `<tr><td>${escaped(as)}</td><td>${escaped(what)}</td><td class="${outcome === 'got through' ? 'bad' : ''}">${escaped(outcome)}</td><td>${escaped(detail)}</td></tr>`,
        )
        .join('')}</tbody></table></div></details>`,
  )
  .join('\n')}
${section('Notes', [`<ul>${notes.map((note) => `<li>${escaped(note)}</li>`).join('')}</ul>`])}
</main>
</body>
</html>
`;
}

function section(title: string, parts: string[]): string {
  return parts.length === 0 ? '' : `<section><h2>${escaped(title)}</h2>${parts.join('\n')}</section>`;
}

function byTable(attempts: Attempt[]): [string, Attempt[]][] {
  const groups = new Map<string, Attempt[]>();
  for (const attempt of attempts) groups.set(attempt.table, [...(groups.get(attempt.table) ?? []), attempt]);
  return [...groups];
}

function short(list: Attempt[]): string {
  const through = list.filter(({ outcome }) => outcome === 'got through').length;
  return `${list.length} ${list.length === 1 ? 'attempt' : 'attempts'}, ${through === 0 ? 'nothing got through' : `${through} got through`}`;
}

function escaped(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (letter) => entities[letter]!);
}

const style = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5a626b; --paper: #fff; --line: #d9dde1; --tint: #f4f6f7; --good: #0b6b3a; --bad: #a3231b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a3abb3; --paper: #15181b; --line: #343a40; --tint: #1e2226; --good: #6fd29b; --bad: #ff9a90; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
code, td, dd, li, p { overflow-wrap: anywhere; }
.verdict { font-size: 1.15rem; font-weight: 600; margin: 0 0 1.5rem; }
.good { color: var(--good); }
.bad { color: var(--bad); font-weight: 600; }
dl { margin: 0; border-top: 1px solid var(--line); }
dl div { display: grid; grid-template-columns: 7rem 1fr; border-bottom: 1px solid var(--line); padding: .4rem 0; }
dt, .rule, summary span, th { color: var(--soft); }
dd { margin: 0; }
article { border: 1px solid var(--line); border-radius: .4rem; padding: .9rem 1rem; margin: 0 0 .9rem; }
article p { margin: .25rem 0; }
.rule { font-size: .9rem; }
pre { background: var(--tint); border-radius: .3rem; padding: .6rem .75rem; margin: .6rem 0 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
details { border-bottom: 1px solid var(--line); }
summary { padding: .5rem 0; cursor: pointer; overflow-wrap: anywhere; }
summary span { font-size: .9rem; }
.wide { overflow-x: auto; margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; min-width: 38rem; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media print { details:not([open]) > * { display: revert; } body { background: none; } }
`;
