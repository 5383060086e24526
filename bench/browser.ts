import { type Answer, type Connection, header, setCookies } from './connection.ts';
import { authorizationParameters, expectStatus } from './flows.ts';
import { password, resource, web } from './identities.ts';

/** How a sign-in ended: with a code, or told to come back later, which is the right answer to too many at once. */
export type SignInEnd = 'code' | 'busy';

const query = new URLSearchParams(authorizationParameters(web, { scope: 'openid email read', resource }));
const later = new Set([429, 503]);

/**
 * A whole sign-in of a browser that has never been here: `/auth`, the page, its form with the right password, and back to
 * `/auth` for the code. `ip` is the address that the proxy names. Throws on any other end.
 */
export async function signInAfresh(
  connection: Connection,
  { email, ip }: { email: string; ip: string },
): Promise<SignInEnd> {
  const cookies = new Map<string, string>();
  const ask = async (path: string, form?: Record<string, string>): Promise<Answer> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { accept: 'text/html', 'x-forwarded-for': ip, ...(cookie ? { cookie } : {}) };
    const answer = await connection.ask(
      form ? { method: 'POST', path, headers, form } : { method: 'GET', path, headers },
    );
    for (const [name, value] of setCookies(answer.headers)) {
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    return answer;
  };

  const login = pathOf(expectStatus(await ask(`/auth?${query}`), 303));
  const page = expectStatus(await ask(login), 200);
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? '';
  const posted = await ask(login, { csrf, email, password });
  if (later.has(posted.status)) {
    return 'busy';
  }
  const end = await ask(pathOf(expectStatus(posted, 303)));
  if (!header(expectStatus(end, 303).headers, 'location')?.includes('code=')) {
    throw new Error(`no code: ${end.headers}`);
  }
  return 'code';
}

function pathOf({ headers }: Answer): string {
  const { pathname, search } = new URL(header(headers, 'location')!, 'http://localhost');
  return pathname + search;
}
