import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Cluster } from './server.ts';
import type { UserAgent } from './user-agent.ts';

export interface RawRequest {
  path: string;
  headers?: Record<string, string>;
  /** Makes it a POST. */
  form?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  /** The body of a JSON answer, else an empty object. */
  json: Record<string, unknown>;
  /** The parameters of a redirect to a client. */
  redirected: URLSearchParams;
}

/** Longer than any answer may take; a socket that is silent for so long hangs. */
const hangMs = 30_000;

/** The Cookie header that the browser would send to this URL. */
export async function cookiesOf(agent: UserAgent, url: string): Promise<Record<string, string>> {
  return { cookie: await agent.jar.getCookieString(url) };
}

/** Keeps the cookies of the answers, in the order of the requests, as the browser that sent them would. */
export async function keepCookies(agent: UserAgent, url: string, answers: readonly Answer[]): Promise<void> {
  for (const line of answers.flatMap(({ headers }) => headers.getSetCookie())) {
    await agent.jar.setCookie(line, url);
  }
}

/** HTTP Basic credentials of a client (RFC 6749 section 2.3.1). */
export function basic(client_id: string, secret: string): Record<string, string> {
  return { authorization: `Basic ${btoa(`${encodeURIComponent(client_id)}:${encodeURIComponent(secret)}`)}` };
}

/**
 * Sends the requests at once: each has a socket of its own, which holds all but its last byte before the last bytes of all are
 * released together. They go to the nodes in turn, past the proxy. One request alone is sent `size` times.
 */
export async function race(
  { issuer, nodes }: Pick<Cluster, 'issuer' | 'nodes'>,
  requests: RawRequest | RawRequest[],
  size = 20,
): Promise<Answer[]> {
  const all = Array.isArray(requests) ? requests : Array.from({ length: size }, () => requests);
  const { host } = new URL(issuer);
  const primed = await Promise.all(
    all.map(async (request, index) => {
      const socket = connect(Number(new URL(nodes[index % nodes.length]!.url).port), '127.0.0.1');
      socket.setNoDelay();
      await once(socket, 'connect');
      const bytes = Buffer.from(format(request, host));
      await new Promise((resolve) => socket.write(bytes.subarray(0, -1), resolve));
      return { socket, last: bytes.subarray(-1), answer: readAnswer(socket) };
    }),
  );
  for (const { socket, last } of primed) {
    socket.write(last);
  }
  return Promise.all(primed.map(({ answer }) => answer));
}

function format({ path, headers = {}, form }: RawRequest, host: string): string {
  const body = form === undefined ? '' : new URLSearchParams(form).toString();
  const lines = Object.entries({
    host,
    connection: 'close',
    ...(form === undefined
      ? { accept: 'text/html' }
      : {
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': String(Buffer.byteLength(body)),
        }),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${form === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** Reads to the end of the connection, which the request asked to be closed. */
async function readAnswer(socket: Socket): Promise<Answer> {
  const chunks: Buffer[] = [];
  socket.setTimeout(hangMs, () => socket.destroy(new Error(`no answer within ${hangMs} ms`)));
  for await (const chunk of socket) {
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Headers(
    lines.map((line): [string, string] => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 1).trim(),
    ]),
  );
  const rest = text.slice(end + 4);
  const body = headers.get('transfer-encoding') === 'chunked' ? joinChunks(rest) : rest;
  const location = headers.get('location');
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body,
    json: headers.get('content-type')?.includes('json') ? JSON.parse(body) : {},
    redirected: (location && URL.parse(location)?.searchParams) || new URLSearchParams(),
  };
}

function joinChunks(text: string): string {
  let body = '';
  let at = 0;
  while (at < text.length) {
    const line = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (!size) {
      break;
    }
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
  return body;
}

/** How many answers there are of each kind, to compare with what a round must give. */
export function tally(
  answers: readonly Answer[],
  describe: (answer: Answer) => string,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) {
    const kind = describe(answer);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** The status and, of a refusal, its error code. */
export function outcome({ status, json, redirected }: Answer): string {
  const error = json['error'] ?? redirected.get('error');
  return error ? `${status} ${error}` : redirected.has('code') ? `${status} code` : String(status);
}
