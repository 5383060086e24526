import { makeUserAgent } from '#test/support/user-agent.ts';
import { authorizationParameters } from './flows.ts';
import { email, password, resource, web } from './identities.ts';

/** Signs `count` browsers in at the origin and gives the cookies of their sessions. */
export async function signIn(origin: string, count: number): Promise<string[]> {
  const cookies: string[] = [];
  const query = new URLSearchParams(authorizationParameters(web, { scope: 'openid email read', resource }));
  // One after the other: passwords are hashed, and the queue for that is short on purpose.
  for (let i = 0; i < count; i++) {
    const agent = makeUserAgent();
    const page = await agent.follow(await agent.get(`${origin}/auth?${query}`));
    // Tessera's page asks for the first two, the library's own for the third; the others are ignored.
    const end = await agent.submit(page, { email, password, login: 'alice' });
    if (end.location === undefined) {
      throw new Error(`sign-in stopped with ${end.status} at ${end.url}: ${end.body.slice(0, 500)}`);
    }
    cookies.push(await agent.jar.getCookieString(`${origin}/auth`));
  }
  return cookies;
}
