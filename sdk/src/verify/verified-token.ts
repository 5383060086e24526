/** For the compiler alone: a private member is one that neither a literal has nor a copy by spread keeps. */
declare class Verified {
  private readonly verified: true;
}

/** What an accepted access token says. Only a verifier makes one; an object that looks alike is refused. */
export interface VerifiedToken extends Verified {
  /** The claim `tenant_id`, a uuid. */
  readonly tenantId: string;
  /** The claim `sub`: a user, or the client itself. */
  readonly subject: string;
  readonly clientId: string;
  readonly scopes: ReadonlySet<string>;
  /** All claims of the token, frozen. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly expiresAt: Date;
}

const made = new WeakSet<object>();

/** For the verifier alone: marks what it has verified. */
export function markVerified(token: Pick<VerifiedToken, keyof VerifiedToken>): VerifiedToken {
  const frozen = Object.freeze(token) as VerifiedToken;
  made.add(frozen);
  return frozen;
}

/** Throws a TypeError for anything that a verifier of this package did not make, a copy included. */
export function assertVerified(token: unknown): asserts token is VerifiedToken {
  if (typeof token === 'object' && token !== null && made.has(token)) return;
  throw new TypeError(
    'withTenant takes the result of verifier.verify(), not a token, claims or a copy of them',
  );
}
