import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import pg from 'pg';

export const audience = 'https://api.example.test';

type Claims = Record<string, unknown>;

/**
 * A stand-in issuer on loopback: discovery, a JWKS with an ES256 and an RS256 key, and tokens to go with it. `mint`
 * makes a good access token except for the claims and header given; undefined leaves one out.
 */
export async function startIssuer() {
  const es256 = await generateKeyPair('ES256', { extractable: true });
  const rs256 = await generateKeyPair('RS256', { extractable: true });
  const stranger = await generateKeyPair('ES256');
  const keys = [
    { ...(await exportJWK(es256.publicKey)), kid: 'es', alg: 'ES256', use: 'sig' },
    { ...(await exportJWK(rs256.publicKey)), kid: 'rs', alg: 'RS256', use: 'sig' },
  ];
  const server = createServer((req, res) => {
    const body = documents[req.url!];
    res.writeHead(body ? 200 : 404, { 'content-type': 'application/json' });
    res.end(JSON.stringify(body ?? {}));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const documents: Record<string, unknown> = {
    '/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/jwks` },
    '/jwks': { keys },
  };

  function claims(overrides: Claims): Claims {
    return {
      iss: issuer,
      aud: audience,
      sub: 'user-1',
      client_id: 'client-1',
      scope: 'read',
      tenant_id: randomUUID(),
      iat: now(),
      exp: now() + 300,
      jti: randomUUID(),
      ...overrides,
    };
  }

  function sign(overrides: Claims, header: Claims, key: CryptoKey | Uint8Array): Promise<string> {
    const protectedHeader = { alg: 'ES256', kid: 'es', typ: 'at+jwt', ...header };
    return new SignJWT(claims(overrides)).setProtectedHeader(protectedHeader).sign(key);
  }

  return {
    issuer,
    mint: (overrides: Claims = {}, header: Claims = {}) => sign(overrides, header, es256.privateKey),
    mintByStranger: () => sign({}, {}, stranger.privateKey),
    mintRs256: () => sign({}, { alg: 'RS256', kid: 'rs' }, rs256.privateKey),
    mintHs256: async () =>
      sign({}, { alg: 'HS256' }, new TextEncoder().encode(await exportSPKI(es256.publicKey))),
    mintUnsecured: () => new UnsecuredJWT(claims({})).encode(),
    async mintTampered(overrides: Claims) {
      const [header, , signature] = (await sign({}, {}, es256.privateKey)).split('.');
      return [header, Buffer.from(JSON.stringify(claims(overrides))).toString('base64url'), signature].join(
        '.',
      );
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** Seconds since 1970, as in a token. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** What the API's answers may hold: a list, an order, a problem or the guard's refusal. */
export type AnswerBody = {
  tenant_id?: string;
  orders?: { item: string }[];
  id?: string;
  item?: string;
  amount_cents?: number;
  status?: number | string;
  code?: string;
  error?: string;
};

/** One HTTP request with a bearer token, if any, and its answer with the JSON body read. */
export async function call(url: string, token?: string | Promise<string>, init: RequestInit = {}) {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set('authorization', `Bearer ${await token}`);
  const response = await fetch(url, { ...init, headers });
  return { status: response.status, headers: response.headers, body: (await response.json()) as AnswerBody };
}

/** A pool of one connection, so that whatever a request leaves behind is met by the next. */
export async function withPool<T>(
  connectionString: string,
  work: (pool: pg.Pool) => Promise<T>,
  options: pg.PoolConfig = {},
): Promise<T> {
  const pool = new pg.Pool({ connectionString, max: 1, ...options });
  pool.on('error', () => {});
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/** Runs statements on a connection of their own. */
export function runSql(connectionString: string, text: string) {
  return withPool(connectionString, (pool) => pool.query(text));
}

/** The same database, by another login or under another name. */
export function withParts(
  url: string,
  parts: Partial<Pick<URL, 'username' | 'password' | 'pathname' | 'port'>>,
): string {
  return Object.assign(new URL(url), parts).href;
}

/** A loopback port on which nothing listens. */
export async function freePort(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}
