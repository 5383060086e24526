import type { TenantSettings } from '#src/database/schema.ts';
import { isBreached } from './breached-passwords.ts';
import { consistsOfContext } from './password-context.ts';
import { findPasswordFlaw } from './password-hash.ts';
import type { PasswordReason } from './password-refusal.ts';
import { estimateStrength, type PasswordAdvice } from './password-strength.ts';

/** What a password must be; `score` as `estimateStrength` gives it. */
export interface PasswordRule {
  minimum: number;
  score: number;
}

export type Judgement =
  | { ok: true; score: number }
  | { ok: false; reason: PasswordReason; advice: PasswordAdvice[] };

/**
 * NIST SP 800-63B-4 section 3.1.1.2: a password may be shorter beside a second factor. Eight random characters are 10^8 tries,
 * which is a score of 2.
 */
const rules = {
  alone: { minimum: 15, score: 4 },
  besideSecondFactor: { minimum: 8, score: 2 },
} satisfies Record<string, PasswordRule>;

/** What the passwords of a tenant with these settings must be. */
export function passwordRule(settings: TenantSettings): PasswordRule {
  return settings.mfa === 'required' ? rules.besideSecondFactor : rules.alone;
}

/**
 * Whether a password may be chosen, and if not, why and what would be better (NIST SP 800-63B-4 section 3.1.1.2): its length in
 * code points, whether it is a known one, made of the context's `words`, or easy to guess. It is judged whole and in NFC; what
 * kinds of characters it holds is its owner's business. The first call in a process reads the lists, about a tenth of a second.
 */
export async function judgePassword(
  password: string,
  { minimum, score: least, words }: PasswordRule & { words: readonly string[] },
): Promise<Judgement> {
  const flaw = findPasswordFlaw(password, minimum);
  if (flaw !== undefined) {
    return { ok: false, reason: flaw, advice: flaw === 'too_short' ? ['passphrase'] : [] };
  }
  const normalised = password.normalize('NFC');
  if (await isBreached(normalised)) {
    return { ok: false, reason: 'common', advice: ['passphrase'] };
  }
  if (consistsOfContext(normalised, words)) {
    return { ok: false, reason: 'context', advice: ['no_names', 'passphrase'] };
  }
  const { score, advice } = await estimateStrength(normalised, words);
  return score >= least ? { ok: true, score } : { ok: false, reason: 'guessable', advice };
}
