import type { ZXCVBNResult, ZXCVBNSequence } from 'zxcvbn';

export type PasswordAdvice =
  | 'passphrase'
  | 'no_names'
  | 'no_common_words'
  | 'no_keyboard'
  | 'no_repeats'
  | 'no_sequences'
  | 'no_dates';

type Estimate = (password: string, words: string[]) => ZXCVBNResult;

/** The estimate takes time with the square of the length and more; at 32 it is milliseconds. */
const pieceUnits = 32;
const mostPieces = 4;

/** The estimate tries every reading of every look-alike at once: twenty of them in 32 characters would take it seconds. */
const mostLookAlikes = 6;
const lookAlikes = /[0-9@({[<!|$+%]/g;
const lookAlikeSymbols = /[@({[<!|$+%]/g;

let loading: Promise<Estimate> | undefined;

/**
 * How hard a password is to guess for somebody who knows these words, from 0 to 4 (zxcvbn: 2 from 10^6 tries, 3 from 10^8, 4 from 10^10),
 * and what to do about it. A long one is judged by its first four pieces and is as hard as the hardest of them. Bounded to some
 * milliseconds whatever the text.
 */
export async function estimateStrength(
  password: string,
  words: readonly string[],
): Promise<{ score: number; advice: PasswordAdvice[] }> {
  loading ??= import('zxcvbn').then((module) => module.default);
  const estimate = await loading;
  let best: ZXCVBNResult | undefined;
  for (const piece of cut(bound(password))) {
    const result = estimate(piece, [...words]);
    if (best === undefined || result.guesses > best.guesses) {
      best = result;
    }
    if (result.score === 4) {
      break;
    }
  }
  return { score: best?.score ?? 0, advice: advise(best?.sequence ?? []) };
}

function cut(text: string): string[] {
  const pieces = text.match(new RegExp(`[^]{1,${pieceUnits}}`, 'g')) ?? [];
  return pieces.slice(0, mostPieces);
}

/** Where there are many look-alikes, the symbols among them stand for nothing but themselves. */
function bound(text: string): string {
  return new Set(text.match(lookAlikes)).size > mostLookAlikes ? text.replace(lookAlikeSymbols, '~') : text;
}

function advise(sequence: readonly ZXCVBNSequence[]): PasswordAdvice[] {
  const found = sequence.flatMap(({ pattern, dictionary_name }): PasswordAdvice[] => {
    switch (pattern) {
      case 'dictionary':
        return [dictionary_name === 'user_inputs' ? 'no_names' : 'no_common_words'];
      case 'spatial':
        return ['no_keyboard'];
      case 'repeat':
        return ['no_repeats'];
      case 'sequence':
        return ['no_sequences'];
      case 'date':
      case 'regex':
        return ['no_dates'];
      default:
        return [];
    }
  });
  return [...new Set(found)].slice(0, 2).concat('passphrase');
}
