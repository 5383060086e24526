export { TokenError, type TokenErrorCode } from './verify/errors.ts';
export type { VerifiedToken } from './verify/verified-token.ts';
