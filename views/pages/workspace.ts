import { html } from 'hono/html';
import { alert, alertId, describedBy } from '#views/components/form.ts';
import { fill, name } from '#views/components/names.ts';
import { layout, type PageClient, type PageContext } from '#views/layout.ts';
import { findText, text } from '#views/text/text.ts';

/** `query` is carried through unread; `value` is what was typed before. */
export type WorkspaceProps = {
  action: string;
  query: string;
  client?: PageClient;
  value?: string;
  error?: 'unknown_workspace' | 'missing';
};

/** Gives the page that asks which workspace someone belongs to. Its one field is named `workspace`. */
export function workspacePage(page: PageContext, props: WorkspaceProps): string {
  const words = text(page.lang);
  const { workspace } = words;
  const client = props.client && name(props.client.client_name, words.unnamed_client);
  const problem = findText(workspace.errors, props.error);
  const hintId = 'workspace-hint';

  return layout(page, {
    title: `${problem ? `${words.error_prefix} ` : ''}${workspace.title}`,
    body: html`<h1>${workspace.title}</h1>
${client && html`<p class="lead">${fill(workspace.lead, { client: html`<strong>${client}</strong>` })}</p>`}
${alert(problem)}
<form class="stack" method="post" action="${props.action}">
<input type="hidden" name="query" value="${props.query}">
<div class="field">
<label for="workspace">${workspace.label}</label>
<span class="hint" id="${hintId}">${workspace.hint}</span>
<input id="workspace" name="workspace" type="text" inputmode="email" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus value="${props.value}"${problem && html` aria-invalid="true"`}${describedBy(hintId, problem && alertId)}>
</div>
<button class="primary" type="submit">${workspace.submit}</button>
</form>`,
  });
}
