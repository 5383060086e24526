import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeDatabase } from '#src/database/pool.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { makeLimits } from '#src/domain/limits/limits.ts';
import { makeMetrics } from '#src/http/metrics/registry.ts';
import { routeLabel } from '#src/http/metrics/requests.ts';
import { HashingBusyError, makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { makeLog } from '#src/lib/log.ts';
import { basic, call } from '#test/support/call.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, password, resource } from '#test/support/fixture.ts';
import { isSignedIn, openLogin } from '#test/support/login-form.ts';
import { freePort, type Node, startNode } from '#test/support/server.ts';

describe('the registry', () => {
  const db = makeDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' });
  const queue = makeHashingQueue({ concurrency: 1, maxWaiting: 0, maxWaitMs: 1_000 });
  const { registry } = makeMetrics({
    db,
    hashing: makePasswordHashing(queue),
    limits: makeLimits({ db, config: { rateLimits: {}, masterKeys: [] }, log: makeLog({ level: 'silent' }) }),
  });
  afterAll(() => db.close());

  test('holds what docs/metrics.md lists', () => {
    const listed = [...readFileSync('docs/metrics.md', 'utf8').matchAll(/^\| `(\w+)` \|/gm)].map(
      ([, name]) => name!,
    );
    const held = registry.getMetricsAsArray().map(({ name }) => name);
    const ours = (names: string[]) => names.filter((name) => name.startsWith('tessera_')).sort();
    expect(ours(listed)).toEqual(ours(held));
    expect(held.filter((name) => !listed.includes(name))).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });

  test('counts what the hashing queue turns away, by operation', async () => {
    const end = Promise.withResolvers<void>();
    const running = queue.run(() => end.promise, 'verify');
    await expect(queue.run(async () => {}, 'verify')).rejects.toThrow(HashingBusyError);
    expect(await registry.metrics()).toContain('tessera_password_queue_running 1\n');
    end.resolve();
    await running;
    const text = await registry.metrics();
    expect(text).toContain('tessera_password_queue_rejected_total{operation="verify"} 1\n');
    expect(text).toContain('tessera_password_queue_wait_seconds_count{operation="verify"} 1\n');
    expect(text).toContain('tessera_password_hash_seconds_count{operation="verify"} 1\n');
    expect(text).toContain('tessera_password_queue_running 0\n');
  });

  test.each([
    ['/token', 'token'],
    ['/auth/abc', 'auth'],
    ['/login/abc/cancel', 'login'],
    ['/.well-known/openid-configuration', '.well-known'],
    ['/', 'home'],
    ['/home', 'other'],
    ['/TOKEN', 'other'],
    ['/alice@example.test', 'other'],
    ['//token', 'other'],
    ['', 'other'],
  ])('takes %s for the route %s, so that nobody makes up labels', (path, label) => {
    expect(routeLabel(path)).toBe(label);
  });
});

describe('GET /metrics', () => {
  let fixture: Fixture;
  let node: Node;
  let port: number;
  let scrapes: string;

  beforeAll(async () => {
    fixture = await createFixture();
    port = await freePort();
    node = await startNode(fixture, { env: { METRICS_PORT: String(port) } });
    scrapes = `http://127.0.0.1:${port}`;
  });
  afterAll(async () => {
    await node?.stop();
    await fixture?.drop();
  });

  const scrape = async () => (await call(`${scrapes}/metrics`)).body;

  test('is on a port of its own and not on that of the public [13.4.5]', async () => {
    const own = await call(`${scrapes}/metrics`);
    expect(own.status).toBe(200);
    expect(own.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(node.log.find(({ msg }) => msg === 'ready')).toMatchObject({ metrics_port: port });
    expect((await call(`${node.url}/metrics`)).status).toBe(404);
  });

  test('is all that this port has', async () => {
    const answers = await Promise.all([
      call(`${scrapes}/`),
      call(`${scrapes}/healthz`),
      call(`${scrapes}/metrics?x=1`),
      call(`${scrapes}/metrics`, { form: { a: 'b' } }),
    ]);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [404, ''],
      [404, ''],
      [404, ''],
      [405, ''],
    ]);
  });

  test('tells of requests and passwords, and of nobody', async () => {
    const token = await call(`${node.url}/token`, {
      form: { grant_type: 'client_credentials', resource },
      headers: { ...basic('acme-m2m'), 'x-forwarded-for': '198.51.100.7' },
    });
    expect(token.status).toBe(200);
    await call(`${node.url}/nobody-knows-this`, { method: 'PURGE' });
    const form = await openLogin(node.url);
    expect(isSignedIn(await form.send({ email: 'alice@example.test', password }))).toBe(true);

    const text = await eventually(async () => {
      const read = await scrape();
      return /_count\{method="POST",route="login",status="3xx"\} 1/.test(read) ? read : undefined;
    });
    expect(text).toContain('tessera_http_request_seconds_count{method="POST",route="token",status="2xx"} 1');
    expect(text).toContain('tessera_http_request_seconds_count{method="other",route="other",status="4xx"} 1');
    expect(text).toContain('tessera_password_hash_seconds_count{operation="verify"} 1');
    expect(text).toMatch(/tessera_database_connections\{pool="pool"\} [1-9]/);
    for (const secret of [
      fixture.acme.tenant_id,
      fixture.acme.users.alice,
      'acme',
      'alice',
      '198.51.100.7',
    ]) {
      expect(text).not.toContain(secret);
    }
    expect(text).not.toContain('nobody-knows-this');
  });
});

test('a taken metrics port stops the start', async () => {
  const fixture = await createFixture();
  const first = await startNode(fixture, { env: { METRICS_PORT: String(await freePort()) } });
  const taken = String(first.log.find(({ msg }) => msg === 'ready')!['metrics_port']);
  await expect(startNode(fixture, { env: { METRICS_PORT: taken } })).rejects.toThrow(/EADDRINUSE/);
  await first.stop();
  await fixture.drop();
});
