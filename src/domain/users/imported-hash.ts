import { needsRehash } from '#src/domain/credentials/password-hash.ts';

/**
 * Whether an imported hash takes the place of the stored one: where there is none, or another import, and never in place of a
 * hash that was made here, since the user has signed in or chosen a new password since.
 */
export function takesImportedHash(stored: string | null, imported: string): boolean {
  return stored === null || (stored !== imported && needsRehash(stored));
}
