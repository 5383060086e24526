import { basic, call } from './call.ts';
import type { Answer } from './expect-safe.ts';
import { redirect_uri } from './fixture.ts';
import { authorize, browse, discover } from './flow.ts';
import { makeUserAgent, type UserAgent } from './user-agent.ts';

export interface Code {
  client_id: string;
  code: string;
  code_verifier: string;
}

/** A code as it comes to the client, with the verifier of its request. The token of it will be opaque and serve userinfo. */
export async function obtainCode(
  issuer: string,
  client_id: string,
  {
    agent = makeUserAgent(),
    parameters = {},
    email,
  }: { agent?: UserAgent; parameters?: Record<string, string | undefined>; email?: string } = {},
): Promise<Code> {
  const { url, checks } = await authorize(await discover(issuer, client_id), {
    scope: 'openid',
    resource: undefined,
    ...parameters,
  });
  const callback = await browse(agent, url, email);
  const code = callback.searchParams.get('code');
  if (code === null) {
    throw new Error(`no code in ${callback.href}`);
  }
  return { client_id, code, code_verifier: checks.pkceCodeVerifier };
}

/** The token request for a code as its client sends it; `form` and `headers` change it. */
export function redeem(
  issuer: string,
  { client_id, code, code_verifier }: Code,
  {
    form = {},
    headers,
  }: { form?: Record<string, string | undefined>; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const isPublic = client_id.endsWith('-spa');
  return call(`${issuer}/token`, {
    form: {
      grant_type: 'authorization_code',
      code,
      code_verifier,
      redirect_uri,
      client_id: isPublic ? client_id : undefined,
      ...form,
    },
    headers: headers ?? (isPublic ? {} : basic(client_id)),
  });
}

/** The token request for a refresh token as its client sends it. */
export function refresh(issuer: string, client_id: string, refresh_token: string): Promise<Answer> {
  return call(`${issuer}/token`, {
    form: { grant_type: 'refresh_token', refresh_token },
    headers: basic(client_id),
  });
}
