import { html } from 'hono/html';
import { type WorkspaceChoice, workspaceChoice } from '#views/components/choice.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

export type LogoutChoiceProps = { choices: WorkspaceChoice[] };

/** Gives the page that asks which workspace to sign out of, when several are signed in in one browser. */
export function logoutChoicePage(page: PageContext, props: LogoutChoiceProps): string {
  const { logout_choice } = text(page.lang);

  return layout(page, {
    title: logout_choice.title,
    body: html`<h1>${logout_choice.title}</h1>
<p class="lead">${logout_choice.lead}</p>
${workspaceChoice(props.choices)}`,
  });
}
