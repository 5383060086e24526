import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createVerifier, type Verifier } from '#tessera/rls';
import { median, table } from './tables.ts';

const issuer = 'https://id.example.test';
const audience = 'https://api.example.test';
const url = `${audience}/orders`;
const tokenCount = 1_000;

export interface VerifyFigures {
  /** Verifications a second, medians of the rounds. */
  cached: number;
  uncached: number;
  proofs: number;
}

/**
 * How fast the package verifies, one call after another in this process: tokens that it has seen, ES256 tokens that it
 * has not, and seen tokens with a new DPoP proof each. Every token comes as a new string, as from a header.
 */
export async function measureVerify(options: { seconds: number; rounds: number }): Promise<VerifyFigures> {
  const key = await makeKeys();
  const tokens = await Promise.all(Array.from({ length: tokenCount }, () => key.mint({})));
  const kept = makeVerifier(key.jwk);
  const forgetful = makeVerifier(key.jwk, 0);
  const show = (verifier: Verifier) => (index: number) =>
    verifier.verify(copyOf(tokens[index % tokenCount]!));
  const measured: VerifyFigures[] = [];
  for (let round = -1; round < options.rounds; round++) {
    const figures = {
      cached: await measure(show(kept), options.seconds),
      uncached: await measure(show(forgetful), options.seconds),
      proofs: await measureProofs(key, options.seconds * 2_000),
    };
    // The first round is for the compiler.
    if (round >= 0) measured.push(figures);
  }
  const of = (name: keyof VerifyFigures) => median(measured.map((figures) => figures[name]));
  return { cached: of('cached'), uncached: of('uncached'), proofs: of('proofs') };
}

/** As Markdown. */
export function verifyTable({ cached, uncached, proofs }: VerifyFigures): string {
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  return table(
    ['verify', 'a second', 'to reach'],
    [
      ['a token seen before', whole(cached), `≥ 100,000: ${cached >= 100_000 ? 'reached' : 'missed'}`],
      ['an ES256 token not seen before', whole(uncached), '–'],
      ['a bound token seen before, with a new ES256 proof', whole(proofs), '–'],
    ],
  );
}

type Keys = Awaited<ReturnType<typeof makeKeys>>;

async function makeKeys() {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const now = Math.floor(Date.now() / 1000);
  const sign = (claims: object, header: object) =>
    new SignJWT({ jti: crypto.randomUUID(), iat: now, ...claims })
      .setProtectedHeader({ alg: 'ES256', ...header })
      .sign(privateKey);
  const mint = (claims: object) =>
    sign(
      {
        iss: issuer,
        aud: audience,
        sub: crypto.randomUUID(),
        client_id: 'client',
        scope: 'read write',
        tenant_id: crypto.randomUUID(),
        exp: now + 3600,
        ...claims,
      },
      { typ: 'at+jwt', kid: 'key' },
    );
  const prove = (ath: string) =>
    sign({ htm: 'GET', htu: url, ath, iat: Math.floor(Date.now() / 1000) }, { typ: 'dpop+jwt', jwk });
  return { jwk: { ...jwk, kid: 'key' }, mint, prove };
}

function makeVerifier(jwk: object, cacheSize = 10_000): Verifier {
  const fetch = async (target: unknown) =>
    Response.json(
      String(target).endsWith('/jwks') ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/jwks` },
    );
  return createVerifier({ issuer, audience, cacheSize, fetch });
}

async function measureProofs({ jwk, mint, prove }: Keys, count: number): Promise<number> {
  const { kid: _, ...bare } = jwk;
  const token = await mint({ cnf: { jkt: await calculateJwkThumbprint(bare) } });
  const ath = createHash('sha256').update(token).digest('base64url');
  const proofs: string[] = [];
  for (let index = 0; index < count; index++) proofs.push(await prove(ath));
  const verifier = makeVerifier(jwk);
  const startedAt = performance.now();
  for (const proof of proofs) await verifier.verify(token, { method: 'GET', url, proof });
  return (count / (performance.now() - startedAt)) * 1000;
}

async function measure(work: (index: number) => Promise<unknown>, seconds: number): Promise<number> {
  const startedAt = performance.now();
  let done = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    for (let batch = 0; batch < 200; batch++) await work(done++);
  }
  return (done / (performance.now() - startedAt)) * 1000;
}

function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
