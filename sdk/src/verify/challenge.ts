import type { TokenError } from './errors.ts';

export interface ChallengeOptions {
  /** The scheme that the request used: its challenge says what was wrong. Bearer unless told. */
  scheme?: 'bearer' | 'dpop' | undefined;
  /** Algorithms accepted in DPoP proofs. Without them the scheme DPoP is not offered. */
  proofAlgorithms?: readonly string[] | undefined;
  /** URL of the protected resource metadata (RFC 9728 section 5.1). */
  resourceMetadata?: string | undefined;
  /** The scopes that were wanted; said for insufficient_scope. */
  scope?: string | readonly string[] | undefined;
}

/**
 * Values for WWW-Authenticate, one for each scheme (RFC 6750 section 3, RFC 9449 section 7.1): to be sent as header
 * lines of their own. What was wrong stands in the challenge of the scheme that was used, and nowhere when no token
 * came. Empty for a 503, which says nothing about credentials.
 */
export function challenge(error: TokenError, options: ChallengeOptions = {}): string[] {
  if (error.status === 503) return [];
  const { proofAlgorithms, resourceMetadata, scope } = options;
  const isOfProof = error.code === 'proof_required' || error.error === 'invalid_dpop_proof';
  const used = isOfProof ? 'dpop' : (options.scheme ?? 'bearer');
  const wrong = error.error !== undefined && {
    error: error.error,
    error_description: error.message,
    scope: error.code === 'insufficient_scope' ? joinScopes(scope) : undefined,
  };
  const shared = { resource_metadata: resourceMetadata };
  const bearer = format('Bearer', { ...(used === 'bearer' && wrong), ...shared });
  if (!proofAlgorithms) return [used === 'bearer' ? bearer : format('Bearer', { ...wrong, ...shared })];
  const algs = proofAlgorithms.join(' ');
  return [bearer, format('DPoP', { ...(used === 'dpop' && wrong), algs, ...shared })];
}

function format(scheme: string, parameters: Record<string, string | undefined>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${quotable(value)}"`],
  );
  return pairs.length === 0 ? scheme : `${scheme} ${pairs.join(', ')}`;
}

// The characters of RFC 6750 section 3: no quotation mark, no backslash, nothing that ends a header line.
function quotable(value: string): string {
  return value.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '');
}

function joinScopes(scope: string | readonly string[] | undefined): string | undefined {
  return Array.isArray(scope) ? scope.join(' ') : (scope as string | undefined);
}
