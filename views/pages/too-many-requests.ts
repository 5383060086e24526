import { html } from 'hono/html';
import { webHref } from '#views/components/names.ts';
import { countdownScript } from '#views/components/script.ts';
import { waitingTime } from '#views/components/waiting-time.ts';
import { layout, type PageContext } from '#views/layout.ts';
import { text } from '#views/text/text.ts';

/** `limited`: one account from this network, or all that comes from it. */
export type TooManyRequestsProps = {
  limited: 'account' | 'network';
  wait_seconds: number;
  back_href?: string;
};

/** Gives the page that asks to wait. Whether an account exists it does not say, since any that is typed is limited alike. */
export function tooManyRequestsPage(page: PageContext, props: TooManyRequestsProps): string {
  const words = text(page.lang);
  const { account, network } = words.too_many_requests;
  const { title, lead, advice } = props.limited === 'account' ? account : network;
  const back = webHref(props.back_href);

  return layout(page, {
    title,
    script: countdownScript,
    body: html`<h1>${title}</h1>
<p class="lead">${lead}</p>
<p>${waitingTime(words, props.wait_seconds)}</p>
<p>${advice}</p>
${back && html`<p class="choice"><a class="secondary" href="${back}">${words.too_many_requests.back}</a></p>`}`,
  });
}
