import { type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose';

export const audience = 'https://api.example.test';
export const tenantId = '6f1f7c1e-5c0a-4d52-9a36-0c8d1b7a2f10';

export type Json = Record<string, unknown>;

export interface SigningKey {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  publicKey: CryptoKey;
  /** As it is published. */
  jwk: JWK & { kid: string };
}

/** A new key; also what an attacker has. */
export async function makeKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' };
  return { ...pair, kid, alg, jwk };
}

export const encodePart = (value: Json | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export function readPart(part: string | undefined): Json {
  return JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'));
}

/** Signs whatever header and payload are, text as it stands, with an ES256 key. */
export async function signJws(
  header: Json | string,
  payload: Json | string,
  key: CryptoKey,
): Promise<string> {
  const input = `${encodePart(header)}.${encodePart(payload)}`;
  const jwk = { key: await exportJWK(key), format: 'jwk', dsaEncoding: 'ieee-p1363' } as const;
  return `${input}.${sign('sha256', Buffer.from(input), jwk as unknown as KeyObject).toString('base64url')}`;
}

/** Leaves out what is undefined. */
export const without = (members: Json): Json =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

export type Answer = (req: IncomingMessage, res: ServerResponse) => void;

/** An issuer on loopback whose fetches are counted, and whose behaviour a test may change at any time. */
export interface Issuer {
  url: string;
  key: SigningKey;
  /** What the key set holds. */
  jwks: unknown[];
  cacheControl: string | undefined;
  /** Fetched paths in order. */
  fetched: string[];
  /** Other members for the discovery document. */
  discovery: Json;
  /** In place of the usual answer. */
  answers: Record<string, Answer>;
  /** Ends every connection without an answer. */
  down: boolean;
  /** Seconds since 1970, as tokens are made and as `clock` says. */
  at: number;
  clock(): Date;
  claims(change?: Json): Json;
  /** A good access token but for these claims and header; undefined leaves one out. */
  mint(claims?: Json, header?: Json, key?: SigningKey): Promise<string>;
  stop(): Promise<void>;
}

export const discoveryPath = '/.well-known/openid-configuration';

export async function startIssuer(): Promise<Issuer> {
  const key = await makeKey('first');
  const send = (res: ServerResponse, document: unknown) => {
    const cached = issuer.cacheControl === undefined ? {} : { 'cache-control': issuer.cacheControl };
    res.writeHead(200, { 'content-type': 'application/json', ...cached });
    res.end(JSON.stringify(document));
  };
  const server = createServer((req, res) => {
    const { url = '' } = req;
    issuer.fetched.push(url);
    const answer = issuer.answers[url];
    if (issuer.down) req.socket.destroy();
    else if (answer) answer(req, res);
    else if (url === discoveryPath) {
      send(res, { issuer: issuer.url, jwks_uri: `${issuer.url}/jwks`, ...issuer.discovery });
    } else if (url === '/jwks') send(res, { keys: issuer.jwks });
    else res.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer: Issuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key,
    jwks: [key.jwk],
    cacheControl: undefined,
    fetched: [],
    discovery: {},
    answers: {},
    down: false,
    at: Math.floor(Date.now() / 1000),
    clock: () => new Date(issuer.at * 1000),
    claims: (change = {}) =>
      without({
        iss: issuer.url,
        aud: audience,
        sub: 'user-1',
        client_id: 'client-1',
        scope: 'read write',
        tenant_id: tenantId,
        jti: crypto.randomUUID(),
        iat: issuer.at,
        exp: issuer.at + 300,
        ...change,
      }),
    mint: (claims, header = {}, signer = key) =>
      signJws(
        without({ alg: signer.alg, kid: signer.kid, typ: 'at+jwt', ...header }),
        issuer.claims(claims),
        signer.privateKey,
      ),
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return issuer;
}
