import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Answer, expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { rawGet, sendRaw } from '#test/support/raw-http.ts';
import { type Node, startNode } from '#test/support/server.ts';
import { readForms } from '#test/support/user-agent.ts';

const issuer = 'https://id.example.test';
const host = 'id.example.test';

let fixture: Fixture;
let node: Node;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { issuer, env: { NODE_ENV: 'production', HOST: '127.0.0.1' } });
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

/** The cookies of a browser that talks to the node through a proxy which ends TLS. */
const jar = new Map<string, string>();
const lines: string[] = [];

async function send(
  method: 'GET' | 'POST',
  target: string,
  form: Record<string, string> = {},
): Promise<Answer> {
  const path = target.replace(issuer, '');
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const [, ...headers] = rawGet(path, host, { Accept: 'text/html', ...(cookie ? { Cookie: cookie } : {}) });
  const answer = await sendRaw(node.url, {
    lines: [
      `${method} ${path} HTTP/1.1`,
      ...headers,
      ...(method === 'POST' ? ['Content-Type: application/x-www-form-urlencoded'] : []),
    ],
    body: method === 'POST' ? new URLSearchParams(form).toString() : '',
  });
  for (const line of answer.headers.getSetCookie()) {
    lines.push(line);
    const [pair] = line.split(';');
    jar.set(pair!.slice(0, pair!.indexOf('=')), pair!.slice(pair!.indexOf('=') + 1));
  }
  return answer;
}

test('over https every cookie is Secure and carries the prefix that its path allows, and browsers stay with TLS [O-05, O-33, ASVS 3.3.1]', async () => {
  const query = new URLSearchParams({
    client_id: 'acme-web',
    redirect_uri,
    response_type: 'code',
    scope: 'openid',
    code_challenge: 'a'.repeat(43),
    code_challenge_method: 'S256',
  });
  const answers = [await send('GET', `/auth?${query}`)];
  const location = () => answers.at(-1)!.headers.get('location')!;
  expect(location()).toMatch(/^(https:\/\/id\.example\.test)?\/login\//);
  answers.push(await send('GET', location()));
  const [form] = readForms(answers.at(-1)!.body);
  answers.push(await send('POST', form!.action, { ...form!.fields, email: 'alice@example.test', password }));
  answers.push(await send('GET', location()));
  expect(location()).toContain(`${redirect_uri}?code=`);
  expect(new URL(location()).searchParams.get('iss')).toBe(issuer);
  answers.push(await send('GET', '/logout?client_id=acme-web'));

  for (const answer of answers) {
    expectSafe(answer);
    expect(answer.headers.get('strict-transport-security')).toMatch(/max-age=[1-9]\d{7,}; includeSubDomains/);
  }
  const names = new Set(
    lines.map((line) =>
      line
        .split('=')[0]!
        .replace(fixture.acme.tenant_id, 'TENANT')
        .replace(/\.sig$/, ''),
    ),
  );
  expect([...names].sort()).toEqual([
    '__Host-device-TENANT',
    '__Host-logout',
    '__Host-session-TENANT',
    '__Secure-interaction',
    '__Secure-resume',
  ]);
  for (const line of lines) {
    expect(line).toMatch(/; secure/i);
    expect(line).toMatch(/; httponly/i);
    expect(line).toMatch(/; samesite=lax/i);
    expect(line).not.toMatch(/; domain=/i);
    if (line.startsWith('__Host-')) {
      expect(line).toMatch(/; path=\/(;|$)/i);
    }
  }
});

test('without TLS nothing of a sign-in is sent, since the proxy answers for the scheme [O-06]', async () => {
  const forged = await sendRaw(node.url, {
    lines: rawGet('/.well-known/openid-configuration', host, { 'X-Forwarded-Proto': 'http' }),
  });
  expectSafe(forged);
  expect(forged.body).not.toContain('http://');
});
