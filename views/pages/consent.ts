import { html } from 'hono/html';
import { csrfField } from '#views/components/form.ts';
import { displayText, fill, fillText, name, webUrl } from '#views/components/names.ts';
import { type Html, layout, type PageClient, type PageContext } from '#views/layout.ts';
import { scopeText, text, type Words } from '#views/text/text.ts';

type Scope = { name: string; description?: string };

/** `lifetime` is already in words: "30 days". `offline` says that the access outlives the visit. */
export type ConsentProps = {
  action: string;
  csrf: string;
  client: PageClient;
  user: { email: string; name?: string };
  scopes: Scope[];
  resources: { identifier: string; name: string; scopes: Scope[] }[];
  offline: boolean;
  lifetime: string;
};

/** Gives the page that asks whether a client may have what it asks for (attack A-140). */
export function consentPage(page: PageContext, props: ConsentProps): string {
  const words = text(page.lang);
  const { consent } = words;
  const client = name(props.client.client_name, words.unnamed_client);
  const host = webUrl(props.client.client_uri)?.host;

  return layout(page, {
    title: fillText(consent.title, { client: props.client.client_name || words.unnamed_client }),
    body: html`<h1>${fill(consent.title, { client })}</h1>
${host && html`<p class="lead">${fill(consent.site, { host: html`<strong>${name(host, '')}</strong>` })}</p>`}
${person(consent, props.user)}
${asked(words, props, client)}
<p class="quiet">${fill(consent.lifetime, { lifetime: displayText(props.lifetime) })}</p>
<form class="choice" method="post" action="${props.action}">
${csrfField(props.csrf)}
<button class="primary" type="submit" name="decision" value="allow">${consent.allow}</button>
<button class="secondary" type="submit" name="decision" value="deny">${consent.deny}</button>
</form>`,
  });
}

function person(consent: Words['consent'], user: ConsentProps['user']): Html {
  const own = displayText(user.name ?? '');
  return html`<p class="person"><span>${consent.signed_in_as}</span> ${own && html`<strong>${name(own, '')}</strong> `}${name(user.email, '')}</p>`;
}

function asked(words: Words, props: ConsentProps, client: Html): Html {
  // One line speaks of access while away, whether the scope was named or not.
  const scopes = props.scopes.filter((scope) => scope.name !== 'offline_access');
  if (props.offline) scopes.push({ name: 'offline_access' });
  const resources = props.resources.filter((resource) => resource.scopes.length > 0);
  if (scopes.length === 0 && resources.length === 0) {
    return html`<p>${fill(words.consent.asks_nothing, { client })}</p>`;
  }
  return html`<h2>${fill(words.consent.asks, { client })}</h2>
${list(words, scopes)}
${resources.map(
  (resource) => html`<section class="resource">
<h3>${name(resource.name, resource.identifier)}</h3>
<p class="code"><bdi>${displayText(resource.identifier, 200)}</bdi></p>
${list(words, resource.scopes)}
</section>`,
)}`;
}

function list(words: Words, scopes: Scope[]): Html | false {
  if (scopes.length === 0) return false;
  return html`<ul class="asked">${scopes.map((scope) => html`<li><bdi>${displayText(scopeText(words, scope), 200)}</bdi></li>`)}</ul>`;
}
