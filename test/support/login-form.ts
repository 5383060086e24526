import { authorize, discover } from './flow.ts';
import { makeUserAgent, type Page, readForms, type UserAgent } from './user-agent.ts';

export interface LoginForm {
  agent: UserAgent;
  page: Page;
  /** Posts exactly these fields with the page's own token, and gives the answer without following it. */
  send(fields: Record<string, string>, headers?: Record<string, string>): Promise<Page>;
  /** Posts a body as it stands, the page's own token in front. */
  sendRaw(body: string): Promise<Page>;
}

/** A sign-in page that waits for its form: of a new browser, or of one that may have signed in before. */
export async function openLogin(
  issuer: string,
  client_id = 'acme-web',
  { agent: given, parameters }: { agent?: UserAgent; parameters?: Record<string, string> } = {},
): Promise<LoginForm> {
  const agent = given ?? makeUserAgent();
  const { url } = await authorize(await discover(issuer, client_id), {
    ...(given ? { prompt: 'login' } : {}),
    ...parameters,
  });
  const page = await agent.follow(await agent.get(url.href));
  const { action, fields } = readForms(page.body)[0]!;
  const target = new URL(action, page.url).href;
  const { csrf = '' } = fields;
  return {
    agent,
    page,
    send: (typed, headers) => agent.post(target, { csrf, ...typed }, headers),
    sendRaw: (body) => agent.post(target, `csrf=${encodeURIComponent(csrf)}&${body}`),
  };
}

/** Whether the answer to a sign-in form lets its sender in. */
export function isSignedIn({ status, location }: Page): boolean {
  return status === 303 && location !== undefined && /\/auth\/[\w-]+$/.test(location);
}
