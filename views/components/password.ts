import { fillText } from '#views/components/names.ts';
import { findText, type Words } from '#views/text/text.ts';

/** Why a password was not taken and what would be better, by their codes; an unknown code says that it is easy to guess. */
export type PasswordRefusal = { reason: string; advice: string[] };

/** The refusal in words, as plain text. */
export function refusalText(words: Words, { reason, advice }: PasswordRefusal, minimum: number): string {
  const { password } = words;
  const sentence = findText(password.reasons, reason) ?? password.reasons.guessable;
  return [
    fillText(sentence, { minimum: String(minimum) }),
    ...advice.map((code) => findText(password.advice, code)).filter((text) => text !== undefined),
  ].join(' ');
}

/** What is said of a password that is taken, by its score: 2, 3 or 4. */
export function praiseText({ password: { good } }: Words, score: number): string {
  return score >= 4 ? good[4] : score === 3 ? good[3] : good[2];
}
