import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { expectRefusal, expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { type Node, startNode } from '#test/support/server.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture);
  issuer = node.url;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

const paths = [
  ...['/token', '/par', '/introspect', '/revoke', '/userinfo', '/auth', '/logout/confirm'],
  ...['/workspace', '/login/x', '/consent/x'],
];
/** More than the server takes and the buffers of both ends hold. */
const limit = 64_000_000;
/** 20 MB in 20 kB. */
const bomb = Buffer.from(gzipSync('a=b&'.repeat(5_000_000)));
const parts = Array.from(
  { length: 10_000 },
  (_, index) => `--b\r\nContent-Disposition: form-data; name="f${index}"\r\n\r\nx\r\n`,
).join('');
const urlencoded = { 'content-type': 'application/x-www-form-urlencoded' };

async function expectRefused(
  path: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string>,
) {
  const answer = await call(issuer + path, {
    method: 'POST',
    body,
    headers: { ...basic('acme-m2m'), ...headers },
  });
  expectSafe(answer);
  // A form of another kind is none, and /auth sends the browser on to the same request with nothing in it.
  const empty = path === '/auth' && answer.status === 303 && answer.headers.get('location') === '/auth?';
  expect({ path, status: answer.status }).toEqual({
    path,
    status: empty ? 303 : [400, 401, 403, 404, 413, 415].find((status) => status === answer.status),
  });
  expect(answer.body).not.toContain('access_token');
}

/** Sends chunks of 16 kB for as long as the server takes them, and gives how much that was, and the answer. */
async function sendWithoutEnd(path: string): Promise<{ sent: number; answer: string }> {
  const { host, port } = new URL(issuer);
  const socket = connect(Number(port), '127.0.0.1');
  const answer: Buffer[] = [];
  socket.on('data', (chunk) => answer.push(chunk));
  socket.on('error', () => {});
  const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, 'Transfer-Encoding: chunked'];
  socket.write(
    [...head, 'Content-Type: application/x-www-form-urlencoded', '', 'a\r\nclient_id='].join('\r\n'),
  );
  const chunk = `\r\n4000\r\n${'x'.repeat(0x4000)}`;
  let sent = 0;
  const sendMore = () => {
    do {
      sent += chunk.length;
    } while (socket.writable && sent < limit && socket.write(chunk));
    if (sent >= limit) {
      socket.destroy();
    }
  };
  socket.on('drain', sendMore);
  sendMore();
  await new Promise((resolve) => socket.once('close', resolve));
  return { sent, answer: Buffer.concat(answer).toString('utf8') };
}

describe('a body that nobody needs [A-200]', () => {
  test.each(paths)(
    'of 57 kB, 5 MB, in many parts, packed or of another kind is refused by %s',
    async (path) => {
      await expectUnchanged(fixture, async () => {
        await expectRefused(path, `client_id=acme-m2m&x=${'x'.repeat(57 * 1024)}`, urlencoded);
        await expectRefused(path, `client_id=acme-m2m&x=${'x'.repeat(5_000_000)}`, urlencoded);
        await expectRefused(path, parts, { 'content-type': 'multipart/form-data; boundary=b' });
        await expectRefused(path, bomb, { ...urlencoded, 'content-encoding': 'gzip' });
        await expectRefused(path, '{"client_id":"acme-m2m"}', { 'content-type': 'application/json' });
        await expectRefused(path, '<x/>', { 'content-type': 'text/xml' });
      });
    },
  );

  test.each(paths)('without end is cut off by %s', async (path) => {
    const { sent, answer } = await sendWithoutEnd(path);
    expect({ path, cut: sent < limit }).toEqual({ path, cut: true });
    if (answer) {
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
  });

  test('that is refused and then stalls ends the connection', async () => {
    const { host, port } = new URL(issuer);
    const socket = connect(Number(port), '127.0.0.1');
    const head = ['POST /token HTTP/1.1', `Host: ${host}`, 'Content-Length: 1000000'];
    socket.write([...head, 'Content-Type: application/x-www-form-urlencoded', '', 'client_id='].join('\r\n'));
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test('is no reason not to serve the next one', async () => {
    const answer = await call(`${issuer}/token`, {
      headers: basic('acme-m2m'),
      form: { grant_type: 'client_credentials' },
    });
    expect(answer.status).toBe(200);
  });
});

describe('a parameter of excess [A-199]', () => {
  const scopes = {
    'of 50,000 characters': 'x'.repeat(50_000),
    'of 20,000 items': Array.from({ length: 20_000 }, () => 'a').join(' '),
    'of 5,000 times the same item': Array.from({ length: 5_000 }, () => 'read').join(' '),
  };

  test.each(Object.entries(scopes))('scope %s is refused without authentication', async (_, scope) => {
    const form = { grant_type: 'client_credentials', client_id: 'acme-m2m', scope };
    const answer = await expectUnchanged(fixture, () => call(`${issuer}/token`, { form }));
    expectRefusal(answer, {
      status: [400, 401],
      error: ['invalid_client', 'invalid_request', 'invalid_scope'],
    });
  });

  test.each(Object.entries(scopes))('scope %s gives a client no more than its own', async (_, scope) => {
    const form = { grant_type: 'client_credentials', scope };
    const answer = await call(`${issuer}/token`, { form, headers: basic('acme-m2m') });
    expectSafe(answer);
    expect(['read', undefined]).toContain(JSON.parse(answer.body).scope);
  });
});

describe('a head of excess [A-201, RFC 6585 5]', () => {
  const many = (count: number, make: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => make(i));
  test.each([
    ['2,000 headers', () => [...rawGet('/jwks', host()), ...many(2_000, (i) => `X${i}: 1`)]],
    ['a header of 17 kB', () => [...rawGet('/jwks', host()), `X: ${'x'.repeat(17_000)}`]],
    ['a name of 17 kB', () => [...rawGet('/jwks', host()), `${'x'.repeat(17_000)}: x`]],
    [
      '1,000 cookies',
      () => [
        ...rawGet('/logout', host()),
        `Cookie: ${many(1_000, (i) => `session-${i}=${i}0000000`).join('; ')}`,
      ],
    ],
    ['10,000 query parameters', () => rawGet(`/auth?${many(10_000, () => 'p').join('&')}`, host())],
    ['a path of 17 kB', () => rawGet(`/${'x'.repeat(17_000)}`, host())],
  ])('of %s is refused', async (_, lines) => {
    const answer = await expectUnchanged(fixture, () => sendRaw(issuer, { lines: lines() }));
    expect([400, 414, 431]).toContain(answer.status);
    expect(answer.body).toBe('');
  });

  const host = () => new URL(issuer).host;

  test('below that is served: 300 cookies, 300 parameters, 300 headers', async () => {
    const cookies = many(300, (i) => `session-${i}=${i}`).join('; ');
    for (const path of ['/logout', `/auth?${many(300, (i) => `p${i}=1`).join('&')}`]) {
      const lines = [...rawGet(path, host()), `Cookie: ${cookies}`, ...many(300, (i) => `X-${i}: ${i}`)];
      expectSafe(await sendRaw(issuer, { lines }));
    }
  });
});
