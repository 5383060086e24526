import { authorize, discover } from './flow.ts';
import type { Page, UserAgent } from './user-agent.ts';

/** The value of the session cookie of this browser, of the one tenant that it is signed in to. */
export async function sessionCookie({ jar }: UserAgent, issuer: string): Promise<string | undefined> {
  const cookies = await jar.getCookies(issuer);
  return cookies.find(({ key }) => /^session-[\w-]+$/.test(key))?.value;
}

/** `code`, or the error, of a request that may show no page. */
export async function askSilently(
  agent: UserAgent,
  issuer: string,
  client_id = 'acme-web',
): Promise<string | null> {
  const { url } = await authorize(await discover(issuer, client_id), { prompt: 'none' });
  const { location } = await agent.follow(await agent.get(url.href));
  const { searchParams } = new URL(location!);
  return searchParams.has('code') ? 'code' : searchParams.get('error');
}

/** Opens a request that asks for a sign-in, and gives its page. */
export async function openSignIn(
  agent: UserAgent,
  issuer: string,
  client_id = 'acme-web',
  parameters: Record<string, string | undefined> = { prompt: 'login' },
): Promise<Page> {
  const { url } = await authorize(await discover(issuer, client_id), parameters);
  return agent.follow(await agent.get(url.href));
}
