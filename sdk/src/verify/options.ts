import { type Algorithm, algorithmNames } from './algorithms.ts';
import { isSecure } from './loopback.ts';
import type { Replay } from './replay.ts';
import type { VerifiedToken } from './verified-token.ts';

export interface VerifierOptions {
  /** The issuer, exactly as it stands in tokens: an https URL, or http on this machine. */
  issuer: string;
  /** Identifiers of this resource server. A token is accepted when its `aud` names one of them. */
  audience: string | readonly string[];
  /** Signature algorithms of access tokens. Tessera signs them with ES256, which is the default. */
  algorithms?: readonly Algorithm[];
  /** Signature algorithms of DPoP proofs; ES256, PS256 and EdDSA unless told, as at Tessera. */
  proofAlgorithms?: readonly Algorithm[];
  /** Seconds by which clocks may differ, 0 to 300; 15 unless told. */
  tolerance?: number;
  /** Seconds that a proof is good for after its `iat`, 1 to 600; 60 unless told. */
  proofMaxAge?: number;
  /** Verified tokens kept in memory; 10,000 unless told, 0 for none. */
  cacheSize?: number;
  /** Seconds for one fetch from the issuer, up to 60; 5 unless told. */
  timeout?: number;
  /** Asked for each accepted token, cached ones too: all but false refuses it. What it throws, `verify` throws. */
  isRevoked?: (token: VerifiedToken) => boolean | Promise<boolean>;
  /**
   * Where proofs are remembered in common by several processes: true for the first use of the key and false for any
   * other, decided in one step (`insert … on conflict do nothing`, `SET … NX`); may forget after `expiresAt`.
   * Without it a proof can be used once in each process.
   */
  replay?: Replay;
  /** Fetches discovery and keys; for a way out through a proxy. */
  fetch?: typeof fetch;
  now?: () => Date;
}

const names: Record<keyof VerifierOptions, true> = {
  issuer: true,
  audience: true,
  algorithms: true,
  proofAlgorithms: true,
  tolerance: true,
  proofMaxAge: true,
  cacheSize: true,
  timeout: true,
  isRevoked: true,
  replay: true,
  fetch: true,
  now: true,
};

/** The options with their defaults. Throws a TypeError that names what is wrong, a misspelt option included. */
export function checkOptions(options: VerifierOptions) {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown !== undefined) throw new TypeError(`createVerifier knows no option ${unknown}`);
  const { issuer, isRevoked, replay } = options;
  checkIssuer(issuer);
  for (const name of ['isRevoked', 'replay', 'fetch', 'now'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function') {
      throw new TypeError(`${name} must be a function`);
    }
  }
  return {
    issuer,
    audiences: checkAudience(options.audience),
    algorithms: checkAlgorithms('algorithms', options.algorithms ?? ['ES256']),
    proofAlgorithms: checkAlgorithms(
      'proofAlgorithms',
      options.proofAlgorithms ?? ['ES256', 'PS256', 'EdDSA'],
    ),
    tolerance: checkNumber('tolerance', options.tolerance ?? 15, { least: 0, most: 300 }),
    proofMaxAge: checkNumber('proofMaxAge', options.proofMaxAge ?? 60, { least: 1, most: 600 }),
    cacheSize: checkNumber('cacheSize', options.cacheSize ?? 10_000, { least: 0, most: 1_000_000 }),
    timeout: checkNumber('timeout', options.timeout ?? 5, { least: 0.001, most: 60 }),
    isRevoked,
    replay,
    fetch: options.fetch ?? fetch,
    now: options.now ?? (() => new Date()),
  };
}

function checkIssuer(issuer: unknown): void {
  if (typeof issuer !== 'string' || !URL.canParse(issuer)) {
    throw new TypeError('issuer must be the URL of the issuer, as it stands in tokens');
  }
  const url = new URL(issuer);
  if (!isSecure(url)) throw new TypeError('issuer must be an https URL; http only on this machine');
  if (/[?#]/.test(issuer) || url.username !== '' || url.password !== '') {
    throw new TypeError('issuer must have no query, no fragment and no credentials');
  }
}

function checkAudience(audience: unknown): readonly string[] {
  const audiences: unknown[] = Array.isArray(audience) ? audience : [audience];
  if (audiences.length === 0 || !audiences.every((name) => typeof name === 'string' && name !== '')) {
    throw new TypeError('audience must be the identifier of this resource server, or a list of them');
  }
  return audiences as string[];
}

function checkAlgorithms(option: string, given: readonly string[]): readonly Algorithm[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError(`${option} must be a list of signature algorithms`);
  }
  const wrong = given.find((name) => !algorithmNames.includes(name as Algorithm));
  if (wrong !== undefined) {
    throw new TypeError(`${option} cannot hold ${wrong}: only ${algorithmNames.join(', ')}`);
  }
  return given as Algorithm[];
}

function checkNumber(
  option: string,
  value: number,
  { least, most }: { least: number; most: number },
): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw new TypeError(`${option} must be a number from ${least} to ${most}`);
  }
  return value;
}
