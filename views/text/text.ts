import { en } from './en.ts';

/** All the words of one language. Another language is another file with these keys. */
export type Words = typeof en;

const languages = new Map<string, Words>([['en', en]]);

/** Gives the words for a BCP 47 tag: the language itself, else its base language, else English. */
export function text(lang: string): Words {
  const tag = lang.toLowerCase();
  return languages.get(tag) ?? languages.get(tag.split('-')[0] ?? '') ?? en;
}

/** Finds a code's words; nothing for a code that the catalogue lacks, whatever it is called. */
export function findText(entries: Record<string, string>, code: string | undefined): string | undefined {
  return code !== undefined && Object.hasOwn(entries, code) ? entries[code] : undefined;
}

/** Says in words what a scope allows, or gives its name when neither client nor catalogue has any. */
export function scopeText(words: Words, scope: { name: string; description?: string }): string {
  return scope.description || (findText(words.scopes, scope.name) ?? scope.name);
}
