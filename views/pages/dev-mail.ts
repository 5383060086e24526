import { html } from 'hono/html';
import { displayText, fill, webHref } from '#views/components/names.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

export type DevMail = { href: string; subject: string; to: string; date: string };
export type DevMailProps = {
  back_href: string;
  html_href: string;
  source_href: string;
  from: string;
  to: string;
  date: string;
  subject: string;
  /** The mail's own text. */
  body: string;
};

/** Gives the list of the mails that a development server kept, the newest first. */
export function devMailboxPage(page: PageContext, props: { mails: DevMail[] }): string {
  const { dev_mail: words } = text(page.lang);

  return layout(page, {
    title: words.title,
    body: html`<h1>${words.title}</h1>
<p class="lead">${fill(words.lead, { variable: html`<code>SMTP_URL</code>` })}</p>
${
  props.mails.length === 0
    ? html`<p class="note">${words.none}</p>`
    : html`<ul class="mails">
${props.mails.map(
  (mail) => html`<li><a href="${webHref(mail.href)}">${displayText(mail.subject, 120) || words.no_subject}</a>
<span class="hint"><bdi>${displayText(mail.to, 120)}</bdi></span>
<span class="hint">${shownTime(mail.date)}</span></li>
`,
)}</ul>`
}`,
  });
}

/** Gives one mail: its heads, its text, and the ways to its HTML and its source. */
export function devMailPage(page: PageContext, props: DevMailProps): string {
  const { dev_mail: words } = text(page.lang);
  const subject = displayText(props.subject, 200) || words.no_subject;
  const heads = [
    { label: words.to, value: props.to },
    { label: words.from, value: props.from },
    { label: words.date, value: shownTime(props.date) },
  ];

  return layout(page, {
    title: subject,
    body: html`<p class="quiet"><a href="${webHref(props.back_href)}">${words.back}</a></p>
<h1>${subject}</h1>
<dl class="facts">
${heads.map(
  ({ label, value }) => html`<div><dt>${label}</dt><dd><bdi>${displayText(value, 200)}</bdi></dd></div>
`,
)}</dl>
<pre class="letter">${linesOf(props.body)}</pre>
<ul class="choice">
<li><a class="secondary" href="${webHref(props.html_href)}">${words.html}</a></li>
<li><a class="secondary" href="${webHref(props.source_href)}">${words.source}</a></li>
</ul>`,
  });
}

/** As the mail has them, without what cannot be seen. */
const linesOf = (body: string): string =>
  body
    .slice(0, 20_000)
    .split('\n')
    .map((line) => displayText(line, 320))
    .join('\n');

const shownTime = (date: string): string => displayText(date.replace(/^(.{10})T(.{8})\.\d+Z$/, '$1 $2 UTC'));
