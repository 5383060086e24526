/** Why a text cannot be hashed as a password, whatever the policy. */
export type PasswordFlaw = 'malformed' | 'too_short' | 'too_long';

/** Why a password may not be chosen. */
export type PasswordReason = PasswordFlaw | 'common' | 'context' | 'guessable';

/** In code points (NIST SP 800-63B-4 section 3.1.1.2). Four bytes each at most, so never more than 1,024 bytes. */
export const longestPassword = 256;

/** The reason as the end of a sentence that begins with "the password", for whoever runs a command. */
export function explainRefusal(reason: PasswordReason, { minimum }: { minimum: number }): string {
  return {
    malformed: 'holds half of a character (an unpaired surrogate)',
    too_short: `needs at least ${minimum} characters`,
    too_long: `is longer than ${longestPassword} characters`,
    common: 'is on the list of passwords that are known from breaches',
    context: 'is made of names that anybody would try first: of the tenant, of the user, of the product',
    guessable: 'is too easy to guess; take more words, or characters without a pattern',
  }[reason];
}
