import { makeUserAgent } from '#test/support/user-agent.ts';
import { authorizationParameters } from './flows.ts';
import { email, password, resource, web, webRs256 } from './identities.ts';

/** Signs `count` browsers in at the origin, lets both clients act, and gives the cookies of their sessions. */
export async function signIn(origin: string, count: number): Promise<string[]> {
  const cookies: string[] = [];
  // One after the other: passwords are hashed, and the queue for that is short on purpose.
  for (let i = 0; i < count; i++) {
    const agent = makeUserAgent();
    for (const client of [web, webRs256]) {
      const query = authorizationParameters(client, { scope: 'openid email read', resource });
      let page = await agent.follow(await agent.get(`${origin}/auth?${new URLSearchParams(query)}`));
      // Tessera's page asks for the first two, the library's own for the third; the others are ignored.
      const fields = { email, password, login: 'alice' };
      for (let step = 0; page.location === undefined; step++) {
        if (page.status !== 200 || step === 3) {
          throw new Error(`sign-in stopped with ${page.status} at ${page.url}: ${page.body.slice(0, 500)}`);
        }
        page = await agent.submit(page, fields);
      }
    }
    cookies.push(await agent.jar.getCookieString(`${origin}/auth`));
  }
  return cookies;
}
