import type { CryptoKey } from 'jose';
import * as client from 'openid-client';
import { type Fixture, password, redirect_uri, resource, secretOf } from './fixture.ts';
import { makeUserAgent, type Page, type UserAgent } from './user-agent.ts';

/** openid-client's view of a client of the fixture, from the issuer's own discovery document. */
export async function discover(
  issuer: string,
  client_id: string,
  { clientKey }: Partial<Pick<Fixture, 'clientKey'>> = {},
) {
  const authentication = client_id.endsWith('-spa')
    ? client.None()
    : client_id.endsWith('-pk')
      ? client.PrivateKeyJwt({ key: clientKey!, kid: 'client-key' })
      : client.ClientSecretBasic(secretOf(client_id));
  return client.discovery(new URL(issuer), client_id, undefined, authentication, {
    execute: [client.allowInsecureRequests],
  });
}

export interface Authorization {
  url: URL;
  checks: { pkceCodeVerifier: string; expectedNonce: string; expectedState: string };
}

/** An authorization request with PKCE, state and nonce; a parameter given as undefined is left out. */
export async function authorize(
  config: client.Configuration,
  parameters: Record<string, string | undefined> = {},
  { pushed = false, dpop }: { pushed?: boolean; dpop?: client.DPoPHandle } = {},
): Promise<Authorization> {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedNonce: client.randomNonce(),
    expectedState: client.randomState(),
  };
  const given = {
    redirect_uri,
    scope: 'openid email profile read',
    resource,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...parameters,
  };
  const request = Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const url = pushed
    ? await client.buildAuthorizationUrlWithPAR(config, request, dpop ? { DPoP: dpop } : undefined)
    : client.buildAuthorizationUrl(config, request);
  return { url, checks };
}

/** Types e-mail and password into the sign-in page. */
export function signIn(
  agent: UserAgent,
  page: Page,
  email = 'alice@example.test',
  typed = password,
): Promise<Page> {
  return agent.submit(page, { email, password: typed });
}

/** Opens the request, signs in where asked, and gives the callback that the browser is sent to. */
export async function browse(agent: UserAgent, url: URL, email?: string): Promise<URL> {
  let page = await agent.follow(await agent.get(url.href));
  if (page.status === 200 && page.body.includes('name="password"')) {
    page = await signIn(agent, page, email);
  }
  if (page.location === undefined) {
    throw new Error(
      `no callback but ${page.status} at ${page.url}: ${page.body.replace(/<style[\s\S]*?<\/style>/, '').slice(0, 800)}`,
    );
  }
  return new URL(page.location);
}

export interface Signed {
  agent: UserAgent;
  config: client.Configuration;
  tokens: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;
}

/** A whole code flow: request, sign-in, code, tokens. */
export async function completeFlow(
  issuer: string,
  client_id: string,
  options: {
    agent?: UserAgent;
    email?: string;
    parameters?: Record<string, string | undefined>;
    clientKey?: CryptoKey;
    pushed?: boolean;
    dpop?: (config: client.Configuration) => Promise<client.DPoPHandle>;
  } = {},
): Promise<Signed> {
  const { agent = makeUserAgent(), email, parameters, pushed = false } = options;
  const config = await discover(issuer, client_id, options.clientKey ? { clientKey: options.clientKey } : {});
  const dpop = await options.dpop?.(config);
  const { url, checks } = await authorize(config, parameters, { pushed, ...(dpop ? { dpop } : {}) });
  const callback = await browse(agent, url, email);
  const tokens = await client.authorizationCodeGrant(
    config,
    callback,
    checks,
    undefined,
    dpop ? { DPoP: dpop } : undefined,
  );
  return { agent, config, tokens };
}
