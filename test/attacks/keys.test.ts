import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { basic, call } from '#test/support/call.ts';
import { expectSafe } from '#test/support/expect-safe.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { type Insider, insiderMasterKeys, makeInsider } from '#test/support/insider.ts';
import { type Node, startNode } from '#test/support/server.ts';

const algs = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const;
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

let fixture: Fixture;
let node: Node;
let issuer: string;
let insider: Insider;
let keys: (JsonWebKey & { kid: string; alg: string; use: string })[];

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: { MASTER_KEYS: insiderMasterKeys } });
  issuer = node.url;
  insider = await makeInsider(fixture);
  keys = JSON.parse((await call(`${issuer}/jwks`)).body).keys;
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});

/** The bytes of every private number of every key that signs. */
async function listPrivateNumbers(): Promise<string[]> {
  const signing = await Promise.all(algs.map((alg) => insider.signingKey(alg)));
  return signing.flatMap(({ private_jwk }) =>
    privateMembers.flatMap((member) =>
      typeof private_jwk[member] === 'string' ? [private_jwk[member]] : [],
    ),
  );
}

describe('private keys [A-078]', () => {
  test('the key set holds none of their members', () => {
    for (const key of keys) {
      expect(Object.keys(key).filter((member) => privateMembers.includes(member))).toEqual([]);
    }
  });

  test('no route gives one, to anybody', async () => {
    const numbers = await listPrivateNumbers();
    expect(numbers.length).toBeGreaterThan(10);
    const paths = [
      ...['/', '/jwks', '/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'],
      ...['/auth', '/token', '/par', '/userinfo', '/introspect', '/revoke', '/logout', '/workspace'],
      ...['/healthz', '/readyz', '/metrics', '/keys', '/api/v1/keys', '/admin', '/admin/keys', '/debug'],
      ...[
        '/export',
        '/backup',
        '/.env',
        '/.data/demo.json',
        '/db/schema.sql',
        '/package.json',
        '/src/main.ts',
      ],
    ];
    for (const path of paths) {
      for (const headers of [{}, basic('acme-web'), basic('acme-m2m')] as Record<string, string>[]) {
        for (const method of ['GET', 'POST']) {
          const answer = await call(issuer + path, { method, headers });
          expectSafe(answer);
          expect(answer.body).not.toMatch(/PRIVATE KEY|"(d|dp|dq|qi)":/);
          expect(numbers.filter((number) => answer.body.includes(number))).toEqual([]);
        }
      }
    }
  });

  test('the log holds none', async () => {
    const log = JSON.stringify(node.log);
    expect((await listPrivateNumbers()).filter((number) => log.includes(number))).toEqual([]);
  });
});

describe('the key set [A-079, RFC 7517]', () => {
  test('holds, of each algorithm, the key that signs and the one that follows, each with kid, alg and use', () => {
    expect(keys.map(({ alg }) => alg).sort()).toEqual([...algs, ...algs].sort());
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length);
    for (const { kid, alg, use } of keys) {
      expect(kid).toMatch(/^[\w-]{16,}$/);
      expect(algs).toContain(alg);
      expect(use).toBe('sig');
    }
  });

  test('holds strong keys only: RSA from 3072 bits with exponent 65537, P-256, Ed25519', () => {
    for (const key of keys) {
      const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({ key, format: 'jwk' });
      if (asymmetricKeyType === 'rsa') {
        expect(asymmetricKeyDetails!.modulusLength).toBeGreaterThanOrEqual(3072);
        expect(asymmetricKeyDetails!.publicExponent).toBe(65537n);
      } else {
        expect([key.crv, key.alg]).toEqual(key.kty === 'EC' ? ['P-256', 'ES256'] : ['Ed25519', 'EdDSA']);
      }
    }
  });

  test('shares no key and no prime, and none whose primes are close or of the ROCA kind', async () => {
    const moduli = keys.filter(({ kty }) => kty === 'RSA').map(({ n }) => toNumber(n!));
    expect(moduli).toHaveLength(4);
    expect(new Set(keys.map(({ n, x, y }) => `${n ?? ''}${x ?? ''}${y ?? ''}`)).size).toBe(keys.length);
    for (const [index, modulus] of moduli.entries()) {
      for (const other of moduli.slice(index + 1)) {
        expect(greatestCommonDivisor(modulus, other)).toBe(1n);
      }
      expect(splitsByFermat(modulus, 100)).toBe(false);
      expect(looksLikeRoca(modulus)).toBe(false);
    }
  });

  test('the tests for weak keys find weak keys [control]', () => {
    const [p, q] = [1000003n, 1000033n];
    expect(splitsByFermat(p * q, 100)).toBe(true);
    expect(greatestCommonDivisor(p * q, p * 1000037n)).toBe(p);
    // ROCA primes are powers of 65537 modulo a primorial, and so is their product.
    expect(looksLikeRoca(65537n ** 5n)).toBe(true);
  });
});

function toNumber(base64url: string): bigint {
  return BigInt(`0x${Buffer.from(base64url, 'base64url').toString('hex')}`);
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommonDivisor(b, a % b);
}

function squareRoot(value: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (let next = (root + value / root) / 2n; next < root; next = (root + value / root) / 2n) {
    root = next;
  }
  return root;
}

function splitsByFermat(modulus: bigint, steps: number): boolean {
  let a = squareRoot(modulus);
  for (let step = 0; step < steps; step += 1, a += 1n) {
    const rest = a * a - modulus;
    if (rest >= 0n && squareRoot(rest) ** 2n === rest) {
      return true;
    }
  }
  return false;
}

/** CVE-2017-15361: modulo each of these primes such a modulus is a power of 65537. */
function looksLikeRoca(modulus: bigint): boolean {
  const primes = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
  return primes.every((prime) => {
    const powers = new Set<number>();
    for (let power = 1; !powers.has(power); power = (power * 65537) % prime) {
      powers.add(power);
    }
    return powers.has(Number(modulus % BigInt(prime)));
  });
}
