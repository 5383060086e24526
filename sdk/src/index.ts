export type { Algorithm } from './verify/algorithms.ts';
export { type ChallengeOptions, challenge } from './verify/challenge.ts';
export type { VerifyRequest } from './verify/dpop.ts';
export { type ChallengeError, TokenError, type TokenErrorCode } from './verify/errors.ts';
export type { VerifierOptions } from './verify/options.ts';
export type { Replay } from './verify/replay.ts';
export type { VerifiedToken } from './verify/verified-token.ts';
export { createVerifier, type Verifier, type VerifyOptions } from './verify/verifier.ts';
