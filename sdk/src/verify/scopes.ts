import { TokenError } from './errors.ts';
import type { VerifiedToken } from './verified-token.ts';

/** Throws insufficient_scope unless the token has all of these scopes: a list, or a text with spaces between. */
export function requireScopes({ scopes }: VerifiedToken, wanted: string | readonly string[]): void {
  const names = typeof wanted === 'string' ? wanted.split(' ') : wanted;
  if (!names.every((name) => name === '' || scopes.has(name))) {
    throw new TokenError('insufficient_scope', 'The token does not have the scope that is needed');
  }
}
