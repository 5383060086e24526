import { html } from 'hono/html';
import { name, webHref } from '#views/components/names.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

export type LogoutChoiceProps = { choices: { name: string; href: string }[] };

/** Gives the page that asks which workspace to sign out of, when several are signed in in one browser. */
export function logoutChoicePage(page: PageContext, props: LogoutChoiceProps): string {
  const { logout_choice } = text(page.lang);

  return layout(page, {
    title: logout_choice.title,
    body: html`<h1>${logout_choice.title}</h1>
<p class="lead">${logout_choice.lead}</p>
<ul class="choice">
${props.choices.map((choice) => html`<li><a class="secondary" href="${webHref(choice.href)}">${name(choice.name, '')}</a></li>`)}
</ul>`,
  });
}
