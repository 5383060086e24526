import { once } from 'node:events';
import net from 'node:net';

export interface Request {
  method: 'GET' | 'POST';
  path: string;
  headers?: Record<string, string>;
  /** Sent as a form. */
  form?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: string;
  body: string;
}

/** A keep-alive connection that asks one thing at a time. */
export interface Connection {
  /** Rejects when the server hangs up or answers in another framing than Content-Length. */
  ask(request: Request): Promise<Answer>;
  close(): void;
}

/** Opens a connection. Own code, since the generator must stay cheaper than what it measures, in sequences too. */
export async function connect(origin: string): Promise<Connection> {
  const { host, port } = new URL(origin);
  const socket = net.connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let received = '';
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  const fail = (error: Error) => {
    waiting?.reject(error);
    waiting = undefined;
  };

  socket.setEncoding('latin1');
  socket.on('error', fail);
  socket.on('close', () => fail(new Error(`${origin} closed the connection`)));
  socket.on('data', (chunk: string) => {
    received += chunk;
    try {
      const read = readAnswer(received);
      if (read) {
        received = received.slice(read.length);
        waiting?.resolve(read.answer);
        waiting = undefined;
      }
    } catch (error) {
      fail(error as Error);
    }
  });

  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(writeRequest(host, request));
      }),
    close: () => socket.destroy(),
  };
}

function writeRequest(host: string, { method, path, headers = {}, form }: Request): string {
  const body = form ? new URLSearchParams(form).toString() : '';
  const fields = form
    ? {
        ...headers,
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(body.length),
      }
    : headers;
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines.join('')}\r\n${body}`;
}

function readAnswer(received: string): { answer: Answer; length: number } | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) {
    return undefined;
  }
  const headers = received.slice(0, end);
  const contentLength = header(headers, 'content-length');
  if (contentLength === undefined) {
    throw new Error(`an answer without Content-Length: ${headers}`);
  }
  const length = end + 4 + Number(contentLength);
  if (received.length < length) {
    return undefined;
  }
  const status = Number(headers.slice(9, 12));
  return { answer: { status, headers, body: received.slice(end + 4, length) }, length };
}

/** The value of a header of an answer. */
export function header(headers: string, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(headers)?.[1];
}

/** The cookies that an answer sets, by name; empty when it takes one away. */
export function setCookies(headers: string): [name: string, value: string][] {
  return [...headers.matchAll(/\r\nset-cookie: *([^=\r]+)=([^;\r]*)/gi)].map(([, name, value]) => [
    name!,
    value!,
  ]);
}
