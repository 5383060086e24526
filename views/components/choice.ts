import { html } from 'hono/html';
import { name, webHref } from '#views/components/names.ts';
import type { Html } from '#views/layout.ts';

/** Workspaces to choose from, each with the link that goes on in it. */
export type WorkspaceChoice = { name: string; href: string };

/** The workspaces as a list of links. */
export function workspaceChoice(choices: WorkspaceChoice[]): Html {
  return html`<ul class="choice">
${choices.map((choice) => html`<li><a class="secondary" href="${webHref(choice.href)}">${name(choice.name, '')}</a></li>`)}
</ul>`;
}
