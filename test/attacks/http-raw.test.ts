import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { type Node, startNode } from '#test/support/server.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let host: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
  host = new URL(issuer).host;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

/** Sends these bytes, and gives the statuses of all answers that come before the server ends the connection. */
async function statusesOf(text: string): Promise<number[]> {
  const socket = connect(Number(new URL(issuer).port), '127.0.0.1');
  socket.write(Buffer.from(text, 'latin1'));
  const timer = new AbortController();
  void delay(8_000, undefined, { signal: timer.signal }).then(
    () => socket.destroy(new Error('the connection stays open')),
    () => {},
  );
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) {
      chunks.push(chunk);
    }
  } finally {
    timer.abort();
  }
  const answers = Buffer.concat(chunks).toString('utf8');
  expect(answers).not.toMatch(/\n\s+at |node_modules/);
  return [...answers.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

const post = (headers: string[], body: string) =>
  [
    'POST /token HTTP/1.1',
    `Host: ${host}`,
    'Content-Type: application/x-www-form-urlencoded',
    ...headers,
    '',
    body,
  ].join('\r\n');
const smuggled = () => `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

const urlencoded = { 'content-type': 'application/x-www-form-urlencoded' };

describe('where one request ends and the next begins [A-208, RFC 9112 6 and 11.2]', () => {
  test('two requests on one connection get two answers [control]', async () => {
    expect(await statusesOf(`GET /jwks HTTP/1.1\r\nHost: ${host}\r\n\r\n${smuggled()}`)).toEqual([200, 200]);
    expect(await statusesOf(post(['Content-Length: 5'], `a=b&c${smuggled()}`))).toEqual([400, 200]);
  });

  test.each([
    ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
    ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 4']],
    ['chunks twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['chunks and identity', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity']],
    ['chunks that are not last', ['Transfer-Encoding: chunked, identity']],
    ['another spelling of chunks', ['Transfer-Encoding: xchunked']],
    ['chunks in quotes', ['Transfer-Encoding: "chunked"']],
    ['chunks behind a tab', ['Transfer-Encoding:\u000bchunked']],
    ['chunks under a name with a blank', ['Transfer-Encoding : chunked']],
    ['two lengths', ['Content-Length: 4', 'Content-Length: 5']],
    ['the same length twice', ['Content-Length: 4', 'Content-Length: 4']],
    ['a list of lengths', ['Content-Length: 4, 4']],
    ['a length with a sign', ['Content-Length: +4']],
    ['a negative length', ['Content-Length: -4']],
    ['a length in hex', ['Content-Length: 0x4']],
    ['a length with a blank', ['Content-Length: 4 4']],
    ['a length beyond counting', ['Content-Length: 99999999999999999999999']],
    ['a folded length', ['Content-Length:', ' 4']],
  ])('%s: refused, and nothing of the body is a request', async (_, headers) => {
    const body = `0\r\n\r\n${smuggled()}`;
    const statuses = await expectUnchanged(fixture, () => statusesOf(post(headers, body)));
    expect(statuses).toEqual([400]);
  });

  test.each([
    ['line feeds alone', () => `GET /jwks HTTP/1.1\nHost: ${host}\n\n`],
    ['a carriage return alone', () => `GET /jwks HTTP/1.1\rHost: ${host}\r\r`],
    ['a line feed inside a header', () => `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nX: a\nY: b\r\n\r\n`],
    ['a carriage return inside a header', () => `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nX: a\rY: b\r\n\r\n`],
    ['a header without a name', () => `GET /jwks HTTP/1.1\r\nHost: ${host}\r\n: x\r\n\r\n`],
    ['a header without a colon', () => `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nX\r\n\r\n`],
    ['a blank before the first header', () => `GET /jwks HTTP/1.1\r\n Host: ${host}\r\n\r\n`],
    ['another version', () => `GET /jwks HTTP/3.7\r\nHost: ${host}\r\n\r\n`],
    ['no version', () => 'GET /jwks\r\n\r\n'],
    ['the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS hello', () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
    ['chunks of no length', () => post(['Transfer-Encoding: chunked'], `x\r\n${smuggled()}`)],
    ['chunks of a negative length', () => post(['Transfer-Encoding: chunked'], `-1\r\n${smuggled()}`)],
    ['a chunk that ends elsewhere', () => post(['Transfer-Encoding: chunked'], `3\r\na=bXX0\r\n\r\n`)],
    [
      'a line feed in an extension of a chunk',
      () => post(['Transfer-Encoding: chunked'], `3;x\na=b\r\n0\r\n\r\n`),
    ],
    [
      'an extension of a chunk of 20 kB',
      () => post(['Transfer-Encoding: chunked'], `3;${'x'.repeat(20_000)}\r\na=b\r\n0\r\n\r\n`),
    ],
  ])('%s: refused', async (_, text) => {
    const statuses = await expectUnchanged(fixture, () => statusesOf(text()));
    expect(statuses).toHaveLength(1);
    expect([400, 413, 421, 505]).toContain(statuses[0]);
  });

  test('an extension of a chunk is no part of the body, and a request in a body is no request', async () => {
    const form = `grant_type=client_credentials&x=${smuggled()}`;
    const { authorization } = basic('acme-m2m');
    const headers = [`Authorization: ${authorization}`, 'Transfer-Encoding: chunked', 'Connection: close'];
    const body = `${form.length.toString(16)};name=value\r\n${form}\r\n0\r\n\r\n`;
    expect(await statusesOf(post(headers, body))).toEqual([200]);
  });
});

describe('methods [A-206, RFC 9110 9 and 15.5.6]', () => {
  const paths = [
    ...['/', '/auth', '/token', '/par', '/jwks', '/userinfo', '/introspect', '/revoke', '/logout'],
    ...['/login/x', '/consent/x', '/workspace', '/healthz', '/none', '/.well-known/openid-configuration'],
  ];
  const methods = ['TRACE', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'PURGE', 'MKCOL'];

  test.each(paths)('that %s does not know are refused, and the answer repeats nothing', async (path) => {
    for (const method of methods) {
      const lines = rawGet(path, host, { 'X-Secret': 'mirror-me' }).map((line) =>
        line.replace(/^GET /, `${method} `),
      );
      const answer = await sendRaw(issuer, { lines });
      expectSafe(answer);
      expect(answer.body).not.toContain('mirror-me');
      expect({ method, status: [404, 405].includes(answer.status) || path === '/healthz' }).toEqual({
        method,
        status: true,
      });
      if (answer.status === 405) {
        expect(answer.headers.get('allow')).toMatch(/GET|POST/);
      }
    }
  });

  test('that are none are refused by the parser, and CONNECT opens nothing', async () => {
    for (const method of ['get', 'Get', 'GETX', 'FOO', '']) {
      expect(await statusesOf(`${method} /jwks HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toEqual([400]);
    }
    const statuses = await statusesOf(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect(statuses.filter((status) => status < 400)).toEqual([]);
  });

  test('cannot be overridden', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      const token = await call(`${issuer}/token?_method=POST`, {
        headers: { [name]: 'POST', ...basic('acme-m2m') },
      });
      expectSafe(token);
      expect([404, 405]).toContain(token.status);
      const login = await call(`${issuer}/workspace?_method=DELETE`, { headers: { [name]: 'DELETE' } });
      expect(login.status).toBe(200);
    }
  });
});

describe('a path that is not quite the path [A-212]', () => {
  const around = [
    '/x/..',
    '/..;',
    '/x/..;',
    '/%2e%2e',
    '/x/%2e%2e',
    '/.%2e',
    '/.',
    '/',
    '/\\',
    '/x\\..',
    '/t/acme/..',
    '/%2f',
    '/;x=1',
  ];
  const behind = [
    '/',
    '/.',
    '.',
    '%2f',
    '%2F..',
    ';x=1',
    '%20',
    '%09',
    '%3fx',
    '%23',
    '\\',
    '/..;/token',
    '.json',
    '~',
  ];

  test.each([
    ...around.map((prefix) => `${prefix}/token`),
    ...behind.map((suffix) => `/token${suffix}`),
    ...['/TOKEN', '/Token', '/t\u006f%6ben', '/%74oken', '/to%6ben'],
  ])('%s gives no token', async (path) => {
    const lines = rawGet(path, host, { ...basic('acme-m2m'), ...urlencoded });
    const answer = await expectUnchanged(fixture, () =>
      sendRaw(issuer, {
        lines: lines.map((line) => line.replace(/^GET /, 'POST ')),
        body: 'grant_type=client_credentials',
      }),
    );
    expectSafe(answer);
    expect([400, 404, 405]).toContain(answer.status);
    expect(answer.body).not.toContain('access_token');
  });
});

describe('bytes that are no text [A-213]', () => {
  const good = () => ({ Accept: 'text/html' });

  test.each(['\u0000', '\u0001', '\u007f', '\u00ff', '\u00c0\u0080', '\u00ed\u00a0\u0080'])(
    'raw %j in path, query and headers are refused',
    async (bytes) => {
      for (const path of [
        `/${bytes}`,
        `/login/${bytes}`,
        `/auth/${bytes}`,
        `/workspace?query=${bytes}`,
        `/auth?state=${bytes}`,
      ]) {
        const statuses = await statusesOf(
          [...rawGet(path, host, good()), 'Connection: close', '', ''].join('\r\n'),
        );
        expect({
          path,
          statuses: [[400], [404]].some(([status]) => statuses[0] === status) && statuses.length === 1,
        }).toEqual({
          path,
          statuses: true,
        });
      }
    },
  );

  test('control bytes in a header or a cookie are refused', async () => {
    for (const bytes of ['\u0000', '\u0001', '\u007f']) {
      for (const name of ['Cookie', 'Authorization', 'Accept-Language', 'DPoP']) {
        const lines = [...rawGet('/userinfo', host), `${name}: a${bytes}b`, 'Connection: close', '', ''];
        expect(await statusesOf(lines.join('\r\n'))).toEqual([expect.any(Number)]);
        expect((await statusesOf(lines.join('\r\n')))[0]).toBeLessThan(500);
      }
    }
  });

  test.each(['%00', '%ff', '%c0%80', '%ed%a0%80', '%f8%88%80%80%80', '%', '%z', '%1'])(
    'escaped, %s is refused in a path and a query',
    async (bytes) => {
      for (const path of [
        ...[`/${bytes}`, `/login/${bytes}`, `/consent/${bytes}`, `/auth/${bytes}`, `/jwks/${bytes}`],
        ...[`/workspace?query=${bytes}`, `/auth?client_id=acme-web&state=${bytes}`, `/logout?state=${bytes}`],
        ...[`/logout?id_token_hint=${bytes}`, `/auth?client_id=${bytes}`, `/userinfo?scope=${bytes}`],
      ]) {
        const answer = await sendRaw(issuer, { lines: rawGet(path, host, good()) });
        expectSafe(answer);
        expect({ path, refused: [400, 404].includes(answer.status) }).toEqual({ path, refused: true });
        expect(answer.headers.get('location')).toBeNull();
      }
    },
  );

  test.each(['%00', '%ff', '%c0%80', '%ed%a0%80'])('escaped, %s in a form is refused', async (bytes) => {
    for (const path of ['/token', '/par', '/introspect', '/revoke', '/auth', '/workspace', '/userinfo']) {
      for (const body of [
        `client_id=acme-m2m${bytes}&client_secret=x&grant_type=client_credentials`,
        `query=x&workspace=acme${bytes}`,
        `grant_type=client_credentials&scope=read${bytes}`,
      ]) {
        const answer = await expectUnchanged(fixture, () =>
          call(issuer + path, {
            method: 'POST',
            body,
            headers: { ...urlencoded, ...(body.startsWith('c') ? {} : basic('acme-m2m')) },
          }),
        );
        expectSafe(answer);
        expect({ path, body, refused: answer.status >= 400 }).toEqual({ path, body, refused: true });
      }
    }
  });
});
