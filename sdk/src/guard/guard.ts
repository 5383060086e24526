import { challenge } from '../verify/challenge.ts';
import { TokenError } from '../verify/errors.ts';
import { isSecure } from '../verify/loopback.ts';
import { requireScopes } from '../verify/scopes.ts';
import type { VerifiedToken } from '../verify/verified-token.ts';
import type { Verifier } from '../verify/verifier.ts';
import { metadataUrl } from './metadata.ts';
import { type Credentials, describeRequest, type GuardedRequest, readCredentials } from './request.ts';

export interface GuardOptions {
  /** Scopes that a token must have, all of them: a list, or a text with spaces between. */
  scope?: string | readonly string[];
  /** The identifier of this resource server, a URL: refusals then say where its metadata is (RFC 9728). */
  resource?: string;
  /**
   * The public origin of the service, `https://api.example.com`, with the path that a proxy takes off where it does.
   * DPoP proofs are checked against it. Without it they are accepted only from clients on this machine.
   */
  origin?: string;
}

/** How a request is refused. */
export interface Refusal {
  status: number;
  headers: Record<string, string | string[]>;
  body: { error: string; error_description: string };
}

export type Outcome = { token: VerifiedToken } | { refusal: Refusal };

type Described = ReturnType<typeof describeRequest>;

const passed = new WeakMap<GuardedRequest, { verifier: Verifier; token: VerifiedToken }>();

/**
 * What the guards of all frameworks do: reads the token of a request, verifies it, and words the refusal (RFC 6750
 * section 3.1). Throws a TypeError for wrong options; gives on what is no TokenError, such as a hook's own error.
 */
export function makeGuard(verifier: Verifier, options: GuardOptions = {}) {
  const { scope, origin } = checkOptions(options);
  const resourceMetadata = options.resource === undefined ? undefined : metadataUrl(options.resource);

  async function verify(request: GuardedRequest, credentials: Credentials, described: Described) {
    // A second guard on the way, for a route's own scope, must not take the proof for a replay.
    const earlier = passed.get(request);
    if (earlier?.verifier === verifier) {
      if (scope !== undefined) requireScopes(earlier.token, scope);
      return earlier.token;
    }
    const { scheme, proof } = credentials;
    if (!described && scheme === 'dpop') {
      throw new TokenError('proof_invalid', 'DPoP proofs are not accepted here: the guard has no origin');
    }
    const shown = { method: '', url: '', ...described, proof, scheme };
    const token = await verifier.verify(credentials.token, shown, { scope });
    passed.set(request, { verifier, token });
    return token;
  }

  return async (request: GuardedRequest, target: string): Promise<Outcome> => {
    const described = describeRequest(request, target, origin);
    let credentials: Credentials | undefined;
    try {
      credentials = readCredentials(request, target);
      return { token: await verify(request, credentials, described) };
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      const values = challenge(error, {
        scheme: credentials?.scheme,
        proofAlgorithms: described && verifier.proofAlgorithms,
        resourceMetadata,
        scope,
      });
      return { refusal: refuse(error, values) };
    }
  };
}

function refuse(error: TokenError, challenges: string[]): Refusal {
  return {
    status: error.status,
    headers: {
      'cache-control': 'no-store',
      ...(challenges.length > 0 ? { 'www-authenticate': challenges } : {}),
    },
    body: { error: error.error ?? error.code, error_description: error.message },
  };
}

const names: Record<keyof GuardOptions, true> = { scope: true, resource: true, origin: true };

function checkOptions(options: GuardOptions): GuardOptions {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown !== undefined) throw new TypeError(`guard knows no option ${unknown}`);
  const { origin, scope } = options;
  if (origin !== undefined && (!URL.canParse(origin) || !isSecure(new URL(origin)) || /[?#@]/.test(origin))) {
    throw new TypeError('origin must be the public https URL of the service; http only on this machine');
  }
  const scopes = typeof scope === 'string' ? scope.split(' ') : (scope ?? []);
  if (!Array.isArray(scopes) || !scopes.every((name) => typeof name === 'string' && scopeToken.test(name))) {
    throw new TypeError('scope must be scopes with a space between, or a list of them');
  }
  return options;
}

/** RFC 6749 section 3.3. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
