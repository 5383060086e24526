import { html } from 'hono/html';
import { type WorkspaceChoice, workspaceChoice } from '#views/components/choice.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

export type AccountChoiceProps = { choices: WorkspaceChoice[] };

/** Gives the page that asks whose account to show, when several workspaces are signed in in one browser. */
export function accountChoicePage(page: PageContext, props: AccountChoiceProps): string {
  const { account_choice } = text(page.lang);

  return layout(page, {
    title: account_choice.title,
    body: html`<h1>${account_choice.title}</h1>
<p class="lead">${account_choice.lead}</p>
${workspaceChoice(props.choices)}
<p class="choice"><a href="/logout">${account_choice.sign_out}</a></p>`,
  });
}
