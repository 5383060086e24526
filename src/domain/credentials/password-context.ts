export interface PasswordContext {
  tenant: { name: string; slug: string };
  domains: readonly string[];
  user?: { email?: string | undefined; name?: string | null | undefined } | undefined;
}

/** Words that a guess at a password of this product begins with. */
const ownWords = [
  'tessera',
  'password',
  'passphrase',
  'welcome',
  'login',
  'signin',
  'account',
  'admin',
  'secret',
];

const shortestWord = 3;

/** A password with fewer different characters of its own is nothing but the words around them. */
const leastOwn = 5;

/** How letters are written to look clever. */
const lookAlikes: Record<string, string> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '@': 'a',
  $: 's',
  '!': 'i',
  '|': 'l',
};

/** Digits, punctuation and blanks, with which words are filled up. Emoji are no filling. */
const filling = /[\p{N}\p{P}\p{Z}\p{Sm}\p{Sc}\p{Sk}\p{Cc}\p{M}]/u;

/** The words that a password must not be made of: of the product, the tenant with its domains, and the user, in lower case. */
export function listContextWords({ tenant, domains, user }: PasswordContext): string[] {
  const texts = [tenant.name, tenant.slug, ...domains, user?.email ?? '', user?.name ?? ''].map(fold);
  const parts = texts.flatMap((text) => {
    const words = text.split(/[^\p{L}\p{M}\p{N}]+/u);
    return [...words, words.join('')];
  });
  return [...new Set([...ownWords, ...parts])].filter((word) => [...word].length >= shortestWord);
}

/**
 * Whether the password is nothing but these words, alone or several, with digits, years, punctuation and at most four different
 * other characters around them. Letters written as look-alikes count as letters.
 */
export function consistsOfContext(password: string, words: readonly string[]): boolean {
  const plain = fold(password);
  const alike = plain.replace(/[01345778@$!|]/g, (character) => lookAlikes[character]!);
  const covered = new Uint8Array(plain.length);
  for (const text of [plain, alike]) {
    for (const word of words) {
      for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
        covered.fill(1, at, at + word.length);
      }
    }
  }
  const rest = [...plain.replace(/[\s\S]/g, (unit, index) => (covered[index] ? '' : unit))];
  const own = new Set(rest.filter((character) => !filling.test(character)));
  return covered.includes(1) && own.size < leastOwn;
}

function fold(text: string): string {
  return text.normalize('NFC').toLowerCase();
}
