import { TokenError } from './errors.ts';
import { fetchJson } from './fetch-json.ts';
import { type Key, type KeySet, readKeySet } from './key-set.ts';
import { isLoopback } from './loopback.ts';

/** Seconds between two refreshes for an unknown `kid`, and between two attempts while the issuer is down. */
export const coolDown = 30;
/** Seconds until the next attempt while there are no keys at all: a service may start before its issuer. */
const firstRetry = 1;
/** Seconds that a key set stays fresh: what Cache-Control says, within these; `usual` when it says nothing. */
const freshness = { least: 30, usual: 300, most: 86_400 };

export interface Keys {
  /**
   * To be called before each use: fetches keys when there are none and refreshes old ones. Gives a promise only
   * when the caller must wait: for the first keys, or after a pause so long that a withdrawn key could be used.
   */
  touch(at: number): Promise<void> | undefined;
  /**
   * The key of this name, or undefined. A name that is not known refreshes the set, at most once in 30 s, unless
   * the caller has just waited for it. Throws `keys_unavailable` when no set was ever fetched.
   */
  find(kid: string, at: number, waited: boolean): Promise<Key | undefined>;
  /** Whether the key is still published. */
  has(key: Key): boolean;
}

export interface KeysOptions {
  issuer: string;
  fetch: typeof fetch;
  /** Seconds for each fetch. */
  timeout: number;
}

/**
 * The issuer's key set, found by its discovery document (OpenID Connect Discovery 1.0 section 4) and kept in memory.
 * All times are seconds since 1970, of the caller's clock. One refresh at a time, shared by all who need it; while
 * the issuer cannot be reached, the keys at hand stay in use.
 */
export function makeKeys({ issuer, fetch, timeout }: KeysOptions): Keys {
  let keys: KeySet | undefined;
  let uri: string | undefined;
  let maxAge = freshness.usual;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let flight: Promise<void> | undefined;
  let awaited: Promise<void> | undefined;
  let failure: unknown;

  function refresh(at: number, rediscover: boolean): Promise<void> {
    attemptedAt = at;
    flight ??= load(at, rediscover).finally(() => {
      flight = undefined;
      awaited = undefined;
    });
    return flight;
  }

  async function load(at: number, rediscover: boolean): Promise<void> {
    try {
      if (rediscover || uri === undefined) uri = await discover(issuer, fetch, timeout);
      const { document, headers } = await fetchJson(uri, fetch, timeout);
      const read = readKeySet(document, keys);
      if (!read) throw new Error(`${uri} answered with something other than a JWK set`);
      keys = read;
      maxAge = maxAgeOf(headers);
      fetchedAt = at;
    } catch (error) {
      uri = undefined;
      failure = error;
    }
  }

  return {
    touch(at) {
      if (!keys) return flight ?? (elapsed(at, attemptedAt) < firstRetry ? undefined : refresh(at, true));
      if (elapsed(at, fetchedAt) < maxAge) return undefined;
      if (flight) return awaited;
      const pause = elapsed(at, attemptedAt);
      if (pause < coolDown) return undefined;
      const refreshed = refresh(at, true);
      // Busy services refresh in the background. One that was idle would else accept, once, a key long withdrawn.
      if (pause > 2 * maxAge) awaited = refreshed;
      return awaited;
    },

    async find(kid, at, waited) {
      if (!keys) {
        throw new TokenError('keys_unavailable', 'The keys of the issuer cannot be fetched', {
          cause: failure,
        });
      }
      const known = keys.get(kid);
      if (known || waited) return known;
      if (elapsed(at, askedAt) >= coolDown) {
        askedAt = at;
        await refresh(at, false);
      } else await flight;
      return keys.get(kid);
    },

    has: (key) => keys?.get(key.kid) === key,
  };
}

// A clock that was set back counts like one that ran on: nothing waits until it is there again.
function elapsed(at: number, since: number): number {
  return Math.abs(at - since);
}

async function discover(issuer: string, request: typeof fetch, timeout: number): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { document } = await fetchJson(url, request, timeout);
  if (document['issuer'] !== issuer) throw new Error(`${url} is the document of another issuer`);
  const { jwks_uri } = document;
  if (typeof jwks_uri !== 'string' || !isTrusted(jwks_uri, new URL(issuer))) {
    throw new Error(`${url} names no jwks_uri that is https or at the issuer`);
  }
  return jwks_uri;
}

// An issuer elsewhere may not send this process to what listens on its own machine.
function isTrusted(uri: string, issuer: URL): boolean {
  if (!URL.canParse(uri)) return false;
  const { protocol, origin, hostname, username, password } = new URL(uri);
  if (username !== '' || password !== '') return false;
  if (origin === issuer.origin) return true;
  if (isLoopback(hostname)) return isLoopback(issuer.hostname) && /^https?:$/.test(protocol);
  return protocol === 'https:';
}

// RFC 9111 sections 5.2.2 and 5.1: what a cache on the way has used up is subtracted.
function maxAgeOf(headers: Headers): number {
  const control = headers.get('cache-control') ?? '';
  if (/\bno-(store|cache)\b/i.test(control)) return freshness.least;
  const stated = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(control)?.[1];
  if (stated === undefined) return freshness.usual;
  const age = Number(/^\d{1,10}$/.exec(headers.get('age') ?? '')?.[0] ?? 0);
  return Math.min(Math.max(Number(stated) - age, freshness.least), freshness.most);
}
