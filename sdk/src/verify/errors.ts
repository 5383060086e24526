/** Why a token was refused. The codes are stable: log them, test for them. */
export type TokenErrorCode =
  | 'missing_token'
  | 'malformed_request'
  | 'malformed_token'
  | 'wrong_algorithm'
  | 'wrong_type'
  | 'unknown_key'
  | 'bad_signature'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'missing_claim'
  /** The verifier's `isRevoked` said so. */
  | 'revoked'
  /** The token is bound to a key and was shown without a proof of it. */
  | 'proof_required'
  | 'proof_invalid'
  | 'proof_replayed'
  /** A proof came along, of a key that this token is not bound to. */
  | 'not_bound'
  | 'insufficient_scope'
  | 'keys_unavailable';

/** The `error` of `WWW-Authenticate` (RFC 6750 section 3.1, RFC 9449 section 7.1); none without credentials. */
export type ChallengeError =
  | 'invalid_request'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'invalid_dpop_proof';

const answers: Partial<Record<TokenErrorCode, { status: 400 | 401 | 403 | 503; error?: ChallengeError }>> = {
  missing_token: { status: 401 },
  malformed_request: { status: 400, error: 'invalid_request' },
  proof_invalid: { status: 401, error: 'invalid_dpop_proof' },
  proof_replayed: { status: 401, error: 'invalid_dpop_proof' },
  insufficient_scope: { status: 403, error: 'insufficient_scope' },
  keys_unavailable: { status: 503 },
};

/** A token that was not accepted; `status` and `error` are what HTTP says of it. Holds nothing of the token. */
export class TokenError extends Error {
  readonly code: TokenErrorCode;
  readonly status: 400 | 401 | 403 | 503;
  readonly error: ChallengeError | undefined;

  constructor(code: TokenErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TokenError';
    this.code = code;
    const answer = answers[code] ?? { status: 401, error: 'invalid_token' };
    this.status = answer.status;
    this.error = answer.error;
  }
}
