import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import Koa from 'koa';
import { createVerifier, type VerifierOptions } from '../../src/index.ts';
import { type GuardOptions, guard, protectedResourceMetadata } from '../../src/koa.ts';
import { audience, type Issuer } from './issuer.ts';

export interface Api {
  url: string;
  stop(): Promise<void>;
}

/** Serves on a free port of loopback. */
export async function serve(listener: RequestListener): Promise<Api> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A guarded Koa application that answers with the tenant of the token. */
export function startApi(
  issuer: Issuer,
  {
    verifier: verifierOptions = {},
    guard: guardOptions = {},
  }: {
    verifier?: Partial<VerifierOptions>;
    guard?: GuardOptions;
  } = {},
): Promise<Api> {
  const verifier = createVerifier({ issuer: issuer.url, audience, now: issuer.clock, ...verifierOptions });
  const app = new Koa();
  app.silent = true;
  app.use(protectedResourceMetadata({ resource: audience, authorizationServers: [issuer.url] }));
  app.use(guard(verifier, { resource: audience, ...guardOptions })).use((ctx) => {
    ctx.body = { tenant: ctx.state.token.tenantId, subject: ctx.state.token.subject };
  });
  return serve(app.callback());
}

export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** One request, with this Authorization header if any. */
export async function ask(
  url: string,
  authorization?: string,
  { method = 'GET', ...more }: { method?: string; dpop?: string } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...more, ...(authorization === undefined ? {} : { authorization }) },
  });
  const body = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: body.startsWith('{') ? JSON.parse(body) : { text: body },
  };
}

/** Sends these lines as a request, header names and repetitions as they stand, and gives the status. */
export async function askRaw(url: string, lines: string[]): Promise<number> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write([...lines, 'Connection: close', '', ''].join('\r\n'));
  const answer = await text(socket);
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}
