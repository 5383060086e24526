import { html } from 'hono/html';
import { type Device, deviceIcon, deviceName } from '#views/components/device.ts';
import { csrfField } from '#views/components/form.ts';
import { moment, momentScript } from '#views/components/moment.ts';
import { displayText, fill, name, webHref } from '#views/components/names.ts';
import { type Html, layout, type PageContext } from '#views/layout.ts';
import { findText, text, type Words } from '#views/text/text.ts';

/** So many characters, as people count them, the name of a device may have. */
export const longestLabel = 60;

/** Where a form goes, with the token of exactly that form. */
type FormTarget = { action: string; csrf: string };

/** Moments are milliseconds since 1970. */
export type SessionProps = {
  /** Whether the page is looked at with this session. */
  current: boolean;
  device: Device;
  /** The name that the person gave it. */
  label?: string;
  ip?: string;
  /** How the person proved who they are (RFC 8176). */
  methods: string[];
  signed_in_at: number;
  active_at: number;
  /** Until when it lasts if nothing happens, and whatever happens. */
  idle_until: number;
  until: number;
  end: FormTarget;
  rename: FormTarget;
};

export type SessionsProps = {
  user: { email: string };
  sessions: SessionProps[];
  end_others: FormTarget;
  sign_out_href: string;
  /** What was just done. */
  done?: 'ended_one' | 'ended_others' | 'named';
};

/** Gives the page that shows where somebody is signed in and ends it there (attack A-139). Every change asks first. */
export function sessionsPage(page: PageContext, props: SessionsProps): string {
  const words = text(page.lang);
  const { sessions } = words;
  const workspace = name(page.tenant?.name ?? '', page.product);
  const here = props.sessions.filter(({ current }) => current);
  const others = props.sessions.filter(({ current }) => !current);
  const done = findText(sessions.done, props.done);

  return layout(page, {
    title: sessions.title,
    signed_in: { email: props.user.email, sign_out_href: props.sign_out_href },
    script: momentScript,
    body: html`<h1>${sessions.title}</h1>
<p class="lead">${fill(sessions.lead, { workspace: html`<strong>${workspace}</strong>` })}</p>
${done && html`<p class="notice" role="status" tabindex="-1" autofocus>${done}</p>`}
<ul class="devices">${here.map((session) => deviceCard(words, session, { id: 'here', ...props }))}</ul>
<h2 class="section">${sessions.others}</h2>
${others.length === 0 ? html`<p class="empty">${sessions.no_others}</p>` : otherDevices(words, props, others)}`,
  });
}

function otherDevices(words: Words, props: SessionsProps, others: SessionProps[]): Html {
  const { sessions } = words;
  return html`<p class="quiet">${sessions.not_yours}</p>
<ul class="devices">${others.map((session, index) => deviceCard(words, session, { id: `other-${index}`, ...props }))}</ul>
<div class="acts">
${asked(
  html`<summary>${sessions.end_others}</summary>`,
  html`<p>${others.length === 1 ? sessions.end_others_asks_one : fill(sessions.end_others_asks, { count: String(others.length) })}</p>
<button class="danger" type="submit">${sessions.end_others_submit}</button>`,
  props.end_others,
)}
</div>`;
}

function deviceCard(
  words: Words,
  session: SessionProps,
  { id, sign_out_href }: { id: string; sign_out_href: string },
): Html {
  const { sessions } = words;
  const device = deviceName(words, session.device);
  const label = displayText(session.label ?? '', longestLabel);
  const title = label ? html`<bdi>${label}</bdi>` : device;
  const heading = html` id="${id}-title"`;
  const out = named(id, 'out');

  return html`<li class="device${session.current && ' here'}">
<span class="tile">${deviceIcon(session.device)}</span>
<div class="headline">${session.current ? html`<h2${heading}>${title}</h2><span class="badge">${sessions.this_device}</span>` : html`<h3${heading}>${title}</h3>`}${label && html`<p class="kind">${device}</p>`}</div>
<div class="about">
${facts(words, session)}
<div class="acts">
${
  session.current
    ? html`<a class="secondary small"${out} href="${webHref(sign_out_href)}">${sessions.end}</a>`
    : asked(
        html`<summary${out}>${sessions.end}</summary>`,
        html`<p>${fill(sessions.end_asks, { device: title })}</p>
<button class="danger"${named(id, 'end')} type="submit">${sessions.end_submit}</button>`,
        session.end,
      )
}
${asked(
  html`<summary${named(id, 'name')}>${label ? sessions.rename : sessions.name}</summary>`,
  html`<div class="field">
<label for="${id}-label">${sessions.label}</label>
<span class="hint" id="${id}-hint">${sessions.label_hint}</span>
<input id="${id}-label" name="label" type="text" maxlength="${longestLabel}" autocomplete="off" value="${label}" aria-describedby="${id}-hint">
</div>
<button class="secondary small"${named(id, 'save')} type="submit">${sessions.label_submit}</button>`,
  session.rename,
)}
</div>
</div>
</li>`;
}

/** Several buttons read the same: who hears them hears the device that they are of behind their words. */
function named(id: string, act: string): Html {
  return html` id="${id}-${act}" aria-labelledby="${id}-${act} ${id}-title"`;
}

/** A form that first has to be opened, which is how a change asks: without a script, and without another page. */
function asked(summary: Html, fields: Html, { action, csrf }: FormTarget): Html {
  return html`<details name="act">
${summary}
<form method="post" action="${action}">
${csrfField(csrf)}
${fields}
</form>
</details>`;
}

function facts(words: Words, session: SessionProps): Html {
  const { sessions } = words;
  const methods = session.methods.map((code) => findText(sessions.methods, code) ?? displayText(code, 20));
  const address = displayText(session.ip ?? '', 45);
  return html`<dl>
<div><dt>${sessions.active}</dt><dd>${session.current ? sessions.active_now : moment(words, session.active_at)}</dd></div>
<div><dt>${sessions.signed_in}</dt><dd>${moment(words, session.signed_in_at)}</dd></div>
${methods.length > 0 && html`<div><dt>${sessions.how}</dt><dd><bdi>${methods.join(', ')}</bdi></dd></div>`}
${address && html`<div><dt>${sessions.address}</dt><dd class="code"><bdi>${address}</bdi></dd></div>`}
${session.idle_until < session.until && html`<div><dt>${sessions.idle_until}</dt><dd>${moment(words, session.idle_until)}</dd></div>`}
<div><dt>${sessions.until}</dt><dd>${moment(words, session.until)}</dd></div>
</dl>`;
}
