import { createHash, randomBytes } from 'node:crypto';
import { type Answer, type Connection, header } from './connection.ts';
import { type Identity, machine, redirect_uri, resource, web, webRs256 } from './identities.ts';

/** A server under measurement, with everything that the flows need of it. */
export interface Target {
  origin: string;
  /** Cookie headers of live sessions, one for each worker: a browser does one thing at a time. */
  sessions: string[];
}

/** One of the browsers and clients that run a flow over and over. */
export interface Worker {
  connection: Connection;
  cookie: string;
  /** What `prepare` left for `run`. */
  token: string;
}

export interface Flow {
  name: string;
  title: string;
  /** Least ratio to the same flow of the bare library with RS256, and with ES256. */
  target?: { rs256: number; es256?: number };
  prepare?(worker: Worker): Promise<void>;
  /** One operation, all its requests. Throws on any answer but the expected. */
  run(worker: Worker): Promise<void>;
}

export const flows: Flow[] = [
  document('discovery', 'discovery', '/.well-known/openid-configuration'),
  document('jwks', 'JWKS', '/jwks'),
  {
    name: 'client-credentials',
    title: 'client credentials (JWT)',
    target: { rs256: 1.5, es256: 0.8 },
    async run({ connection }) {
      await askToken(connection, machine, { grant_type: 'client_credentials', scope: 'read', resource });
    },
  },
  codeFlow('code-flow', 'code flow, live session', web, { rs256: 0.6 }),
  codeFlow('code-flow-rs256', 'code flow, ID token RS256 3072', webRs256),
  {
    name: 'refresh',
    title: 'refresh with rotation',
    target: { rs256: 1.2 },
    async prepare(worker) {
      worker.token = (await completeCodeFlow(worker, web, withResource))['refresh_token']!;
    },
    async run(worker) {
      const tokens = await askToken(worker.connection, web, {
        grant_type: 'refresh_token',
        refresh_token: worker.token,
      });
      if (tokens['refresh_token'] === worker.token) {
        throw new Error('the refresh token was not rotated');
      }
      worker.token = tokens['refresh_token']!;
    },
  },
  {
    name: 'introspection',
    title: 'introspection (opaque token, hint)',
    target: { rs256: 0.6 },
    prepare: takeOpaqueToken,
    async run({ connection, token }) {
      const answer = await connection.ask({
        method: 'POST',
        path: '/introspect',
        headers: basic(web),
        form: { token, token_type_hint: 'access_token' },
      });
      if (JSON.parse(expectStatus(answer, 200).body).active !== true) {
        throw new Error(`the token is not active: ${answer.body}`);
      }
    },
  },
  {
    name: 'userinfo',
    title: 'userinfo (opaque token)',
    target: { rs256: 0.6 },
    prepare: takeOpaqueToken,
    async run({ connection, token }) {
      const headers = { authorization: `Bearer ${token}` };
      expectStatus(await connection.ask({ method: 'GET', path: '/userinfo', headers }), 200);
    },
  },
];

const withResource = { scope: 'openid email read', resource };
const withoutResource = { scope: 'openid email' };

function document(name: string, title: string, path: string): Flow {
  return {
    name,
    title,
    target: { rs256: 1.5 },
    async run({ connection }) {
      expectStatus(await connection.ask({ method: 'GET', path }), 200);
    },
  };
}

function codeFlow(name: string, title: string, client: Identity, target?: Flow['target']): Flow {
  return {
    name,
    title,
    ...(target ? { target } : {}),
    async run(worker) {
      const tokens = await completeCodeFlow(worker, client, withResource);
      if (!tokens['id_token'] || !tokens['refresh_token']) {
        throw new Error(`tokens are missing: ${Object.keys(tokens)}`);
      }
    },
  };
}

async function takeOpaqueToken(worker: Worker) {
  worker.token = (await completeCodeFlow(worker, web, withoutResource))['access_token']!;
}

const code_verifier = randomBytes(32).toString('base64url');
/** The parameters of an authorization request of these flows. */
export const authorizationParameters = (client: Identity, given: Record<string, string>) => ({
  client_id: client.client_id,
  redirect_uri,
  response_type: 'code',
  code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
  code_challenge_method: 'S256',
  state: 'state-of-the-bench',
  nonce: 'nonce-of-the-bench',
  ...given,
});

/** `/auth` with `prompt=none`, then `/token`. */
async function completeCodeFlow(
  { connection, cookie }: Worker,
  client: Identity,
  given: Record<string, string>,
) {
  const query = new URLSearchParams({ ...authorizationParameters(client, given), prompt: 'none' });
  const answer = await connection.ask({ method: 'GET', path: `/auth?${query}`, headers: { cookie } });
  const location = new URL(header(expectStatus(answer, 303).headers, 'location')!);
  const code = location.searchParams.get('code');
  if (!code) {
    throw new Error(`no code but ${location.href}`);
  }
  return askToken(connection, client, {
    grant_type: 'authorization_code',
    code,
    redirect_uri,
    code_verifier,
  });
}

async function askToken(connection: Connection, client: Identity, form: Record<string, string>) {
  const answer = await connection.ask({ method: 'POST', path: '/token', headers: basic(client), form });
  return JSON.parse(expectStatus(answer, 200).body) as Record<string, string>;
}

function basic({ client_id, client_secret }: Identity) {
  return { authorization: `Basic ${btoa(`${client_id}:${client_secret}`)}` };
}

/** The answer itself, or an error that shows it when its status is another. */
export function expectStatus(answer: Answer, status: number): Answer {
  if (answer.status !== status) {
    throw new Error(`${answer.status} instead of ${status}: ${answer.headers}\n\n${answer.body}`);
  }
  return answer;
}
