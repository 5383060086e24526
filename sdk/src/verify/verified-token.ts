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

const made = new WeakMap<object, Date>();

/** For the verifier alone: marks what it has verified, and until when it would accept it, given its tolerance. */
export function markVerified(
  token: Pick<VerifiedToken, keyof VerifiedToken>,
  until: Date = token.expiresAt,
): VerifiedToken {
  const frozen = Object.freeze(token) as VerifiedToken;
  made.set(frozen, until);
  return frozen;
}

/** Until when the verifier that made it accepts the token. */
export function goodUntil(token: VerifiedToken): Date {
  return made.get(token) ?? token.expiresAt;
}

/** Throws a TypeError for anything that a verifier of this package did not make, a copy included. */
export function assertVerified(token: unknown): asserts token is VerifiedToken {
  if (typeof token === 'object' && token !== null && made.has(token)) return;
  throw new TypeError(
    'withTenant takes the result of verifier.verify(), not a token, claims or a copy of them',
  );
}
