import { once } from 'node:events';
import { connect } from 'node:net';
import type { Answer } from './expect-safe.ts';

export interface RawRequest {
  /** The request line and the headers as they go over the wire; `Connection: close` and a length are added. */
  lines: string[];
  body?: string;
  /** The loopback address that the request comes from. */
  from?: string;
}

/** One HTTP/1.1 request that fetch would not send, byte by byte: a Host of any kind, twice, or none. */
export async function sendRaw(
  url: string,
  { lines, body = '', from = '127.0.0.1' }: RawRequest,
): Promise<Answer> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), localAddress: from });
  await once(socket, 'connect');
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  socket.write([...lines, ...length, 'Connection: close', '', body].join('\r\n'), 'latin1');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk);
  }
  return parseAnswer(Buffer.concat(chunks).toString('utf8'));
}

function parseAnswer(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Headers(
    lines.map((line): [string, string] => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 1),
    ]),
  );
  return { status: Number(start.split(' ')[1]), headers, body: text.slice(end + 4) };
}

/** A GET with these headers, Host first. */
export const rawGet = (path: string, host: string, headers: Record<string, string> = {}): string[] => [
  `GET ${path} HTTP/1.1`,
  `Host: ${host}`,
  ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
];
