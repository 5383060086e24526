import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import pg from 'pg';
import { setupOrders } from '#examples/orders-api/setup.ts';
import { createVerifier } from '#tessera/rls';
import { type Connection, connect } from './connection.ts';
import { median, table } from './tables.ts';
import { makeSubjects, type Subject } from './with-tenant-subjects.ts';

const issuer = 'https://id.example.test';
const audience = 'https://api.example.test';
const tenants = 20;
const ordersOfEach = 1_000;
/** What is read: a row, and a page as the orders API answers it. */
const sizes = [1, 100];

const ways = ['bare', 'transaction', 'tenant', 'bare request', 'tenant request'] as const;
type Way = (typeof ways)[number];

/** Median times of one library for one size of answer, in milliseconds. */
export interface TenantFigures extends Record<Way, number> {
  title: string;
  rows: number;
}

/**
 * The same query with and without `withTenant`, one after another in this process; and as an HTTP request on loopback, in
 * which both verify the token and write JSON. All ways take turns, so that what else the machine does meets them alike.
 */
export async function measureWithTenant(
  database: { ownerUrl: string },
  { seconds, rounds }: { seconds: number; rounds: number },
): Promise<TenantFigures[]> {
  const tenantId = randomUUID();
  const subjects = makeSubjects(await prepare(database.ownerUrl, tenantId), tenantId);
  const api = await startApi(subjects, tenantId);
  try {
    const cases = subjects.flatMap((subject, index) => sizes.map((rows) => ({ subject, index, rows })));
    const measured = cases.map(() => Object.fromEntries(ways.map((way) => [way, [] as number[]])));
    // The first round is for the compiler.
    for (let round = -1; round < rounds; round++) {
      const times = cases.map(() => Object.fromEntries(ways.map((way) => [way, [] as number[]])));
      const endsAt = performance.now() + seconds * 1_000;
      while (performance.now() < endsAt) {
        for (const [place, each] of cases.entries()) {
          for (const way of ways) times[place]![way]!.push(await timeOf(way, each, api));
        }
      }
      if (round < 0) continue;
      for (const [place, ofCase] of times.entries()) {
        for (const way of ways) measured[place]![way]!.push(median(ofCase[way]!));
      }
    }
    return cases.map(({ subject, rows }, place) => ({
      title: subject.title,
      rows,
      ...(Object.fromEntries(ways.map((way) => [way, median(measured[place]![way]!)])) as Record<
        Way,
        number
      >),
    }));
  } finally {
    await api.close();
    for (const subject of subjects) await subject.close();
  }
}

/** As Markdown. */
export function withTenantTable(figures: TenantFigures[]): string {
  const ms = (value: number) => value.toFixed(2);
  const times = (value: number, base: number) => (value / base).toFixed(2);
  return table(
    [
      'p50, ms',
      'rows',
      'query',
      'in a transaction',
      'withTenant',
      '× query',
      '× transaction',
      'request',
      'request withTenant',
      '× request',
    ],
    figures.map((each) => [
      each.title,
      String(each.rows),
      ms(each.bare),
      ms(each.transaction),
      ms(each.tenant),
      times(each.tenant, each.bare),
      times(each.tenant, each.transaction),
      ms(each['bare request']),
      ms(each['tenant request']),
      times(each['tenant request'], each['bare request']),
    ]),
  );
}

type Api = Awaited<ReturnType<typeof startApi>>;

async function timeOf(
  way: Way,
  { subject, index, rows }: { subject: Subject; index: number; rows: number },
  api: Api,
): Promise<number> {
  const startedAt = performance.now();
  if (way === 'bare') await subject.bare(rows);
  else if (way === 'transaction') await subject.transaction(rows);
  else if (way === 'tenant') await subject.tenant(await api.verify(), rows);
  else await api.ask(way === 'bare request' ? 'bare' : 'tenant', index, rows);
  return performance.now() - startedAt;
}

async function startApi(subjects: Subject[], tenantId: string) {
  const { token, fetch } = await makeToken(tenantId);
  const verifier = createVerifier({ issuer, audience, fetch });
  const verify = (text = token) => verifier.verify(text, undefined, { scope: 'read' });
  const server = createServer(async (req, res) => {
    const [, way, index, rows] = req.url!.split('/');
    const verified = await verify(req.headers.authorization!.slice('Bearer '.length));
    const subject = subjects[Number(index)]!;
    const orders = await (way === 'bare'
      ? subject.bare(Number(rows))
      : subject.tenant(verified, Number(rows)));
    const body = JSON.stringify({ tenant_id: verified.tenantId, orders });
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    res.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connection: Connection = await connect(origin);
  return {
    verify,
    async ask(way: 'bare' | 'tenant', index: number, rows: number) {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await connection.ask({ method: 'GET', path: `/${way}/${index}/${rows}`, headers });
      if (JSON.parse(answer.body).orders.length !== rows) throw new Error('not the rows that were asked for');
    },
    async close() {
      connection.close();
      server.close();
      await once(server, 'close');
    },
  };
}

async function makeToken(tenant_id: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key' };
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({
    iss: issuer,
    aud: audience,
    sub: randomUUID(),
    client_id: 'client',
    scope: 'read write',
    tenant_id,
    jti: randomUUID(),
    iat: now,
    exp: now + 36_000,
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'key' })
    .sign(privateKey);
  const fetch = async (target: unknown) =>
    Response.json(
      String(target).endsWith('/jwks') ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/jwks` },
    );
  return { token, fetch };
}

/** The orders of many tenants; gives the connection string of the API. */
async function prepare(ownerUrl: string, tenantId: string): Promise<string> {
  const runtimePassword = randomUUID();
  await setupOrders({ ownerUrl, runtimePassword });
  const client = new pg.Client(ownerUrl);
  await client.connect();
  for (let index = 0; index < tenants; index++) {
    await client.query('begin');
    await client.query("select set_config('app.current_tenant_id', $1, true)", [
      index ? randomUUID() : tenantId,
    ]);
    await client.query(
      `insert into orders.orders (item, amount_cents, placed_at)
      select 'item ' || n, n, now() - n * interval '1 minute' from generate_series(1, $1::int) n`,
      [ordersOfEach],
    );
    await client.query('commit');
  }
  await client.query('vacuum analyze orders.orders');
  await client.end();
  return Object.assign(new URL(ownerUrl), { username: 'orders_api', password: runtimePassword }).href;
}
