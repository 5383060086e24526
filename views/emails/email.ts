import { html, raw } from 'hono/html';
import { displayText, fillText } from '#views/components/names.ts';
import { text, type Words } from '#views/text/text.ts';

/** What every e-mail knows. `workspace` is the tenant's name; every link leads to `issuer`. */
export type EmailContext = { lang: string; product: 'Tessera'; workspace: string; issuer: string };

/** `subject` is one line without control characters. */
export type Email = { subject: string; text: string; html: string };

/** When and where something was done; `at` is an ISO 8601 time. */
export type Occasion = { at: string; ip: string; device: string };

type Parts = {
  subject: string;
  lead: string;
  facts: { label: string; value: string }[];
  /** What to do, a paragraph each. */
  advice: string[];
  action?: { label: string; path: string };
};

/** The words of the e-mails, and a way to fill them with the workspace's name and other values. */
export function emailWords({ lang, product, workspace }: EmailContext): {
  words: Words['emails'];
  say: (sentence: string, values?: Record<string, string>) => string;
} {
  const { emails } = text(lang);
  const owner = displayText(workspace) || product;
  return {
    words: emails,
    say: (sentence, values = {}) => fillText(sentence, { workspace: owner, ...values }),
  };
}

/** An instant as people read it, in UTC; what is no time is shown as it is. */
export function instant(at: string, lang: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime())
    ? displayText(at)
    : `${new Intl.DateTimeFormat(text(lang).lang, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(date)} UTC`;
}

/** The rows that say when, where from and on what. */
export function occasionFacts({ at, ip, device }: Occasion, context: EmailContext): Parts['facts'] {
  const { facts } = text(context.lang).emails;
  return [
    { label: facts.at, value: instant(at, context.lang) },
    { label: facts.device, value: displayText(device) },
    { label: facts.ip, value: displayText(ip) },
  ].filter(({ value }) => value !== '');
}

/** Makes text and HTML of the same parts. Nothing is loaded, and without its styles the HTML reads like the text. */
export function email(context: EmailContext, { subject, lead, facts, advice, action }: Parts): Email {
  const { words, say } = emailWords(context);
  const { lang, dir } = text(context.lang);
  const footer = say(words.footer);
  const url = action && `${context.issuer}${action.path}`;
  const lines = [
    lead,
    '',
    ...facts.map(({ label, value }) => `${label}: ${value}`),
    '',
    ...advice.flatMap((paragraph) => [paragraph, '']),
    ...(action ? [`${action.label}:`, url, ''] : []),
    '-- ',
    footer,
    '',
  ];
  return {
    subject,
    text: lines.join('\n'),
    html: String(html`<!doctype html>
<html lang="${lang}" dir="${dir}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${subject}</title>
<style>${raw(style)}</style>
</head>
<body class="paper" style="margin:0;padding:24px 12px;background:#f1ede4;color:#1b2624;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif">
<div class="sheet" style="max-width:34rem;margin:0 auto;padding:32px;background:#fffdf8;border-radius:12px;overflow-wrap:anywhere">
<h1 style="margin:0 0 12px;font:500 24px/1.25 Georgia,'Times New Roman',serif">${subject}</h1>
<p style="margin:0 0 20px">${lead}</p>
<table role="presentation" class="facts" style="width:100%;margin:0 0 20px;border-collapse:collapse;background:#f5f1e7;border-radius:8px">
${facts.map(
  ({ label, value }) => html`<tr>
<td class="quiet" style="padding:8px 16px;vertical-align:top;white-space:nowrap;color:#56615d;font-size:14px">${label}</td>
<td style="padding:8px 16px 8px 0;width:100%"><bdi>${value}</bdi></td>
</tr>
`,
)}</table>
${advice.map(
  (paragraph) => html`<p style="margin:0 0 12px">${paragraph}</p>
`,
)}${
  action &&
  html`<p style="margin:24px 0 12px"><a class="action" href="${url}" style="display:inline-block;padding:12px 20px;border-radius:10px;background:#0b655c;color:#ffffff;font-weight:600;text-decoration:none">${action.label}</a></p>
`
}<p class="quiet" style="margin:24px 0 0;padding-top:16px;border-top:1px solid #e3ddd0;color:#56615d;font-size:13px">${footer}</p>
</div>
</body>
</html>
`),
  };
}

// For mail programs that know the reader's scheme; the others show the colours of the elements.
const style = `
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  .paper { background: #0f1514 !important; color: #e8eeeb !important; }
  .sheet { background: #18201e !important; }
  .facts { background: #111816 !important; }
  .quiet { color: #a4b1ac !important; border-color: #2b3532 !important; }
  .action { background: #7fd4c5 !important; color: #05211d !important; }
}
`;
