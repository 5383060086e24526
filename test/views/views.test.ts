import { describe, expect, test } from '@jest/globals';
import { displayText, webHref, webUrl } from '#views/components/names.ts';
import type { PageContext } from '#views/layout.ts';
import { consentPage } from '#views/pages/consent.ts';
import { loggedOutPage } from '#views/pages/logged-out.ts';
import { loginPage } from '#views/pages/login.ts';
import { samples } from '#views/samples.ts';
import { readHtml, type Tag } from './read-html.ts';

const page: PageContext = { nonce: 'bm9uY2U', lang: 'en', request_id: 'req-1', product: 'Tessera' };
const bidi = '\u202e\u2066evil\u2069\u200f\u061c';
const unseen = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u;

/** What goes into every value, and a harmless text that must give the same page around it. */
const hostile = [
  { what: 'a closing quote and a tag', poison: '"><svg/onload=1>', harmless: 'plain' },
  {
    what: 'an end of style, script and title',
    poison: '</title></style></script><script>x()</script>',
    harmless: 'plain',
  },
  { what: 'an attribute in single quotes', poison: "' autofocus onfocus='x()", harmless: 'plain' },
  {
    what: 'template expressions',
    poison: `{{7*7}} \${7*7} <%= 7 %> {client} {workspace}`,
    harmless: 'plain',
  },
  { what: 'a script address', poison: 'javascript:x()//"<', harmless: 'javascript:plain' },
  { what: 'bidirectional controls', poison: `"${bidi}<b>`, harmless: 'plain' },
  { what: 'ten thousand characters', poison: '<"x" '.repeat(2048), harmless: 'plain' },
  { what: 'lone surrogates and nulls', poison: '\ud800<\u0000"\udfff', harmless: 'plain' },
  { what: 'a name that every object has', poison: '__proto__', harmless: 'plain' },
];

describe.each(samples)('$name', ({ render }) => {
  test('has one h1, a language, a title and the landmarks', () => {
    const tags = readHtml(render());
    expect(count(tags, 'h1')).toBe(1);
    expect(count(tags, 'main')).toBe(1);
    expect(count(tags, 'header')).toBe(1);
    expect(count(tags, 'footer')).toBe(1);
    expect(tags[0]).toMatchObject({
      name: 'html',
      attributes: new Map([
        ['lang', 'en'],
        ['dir', 'ltr'],
      ]),
    });
    expect(find(tags, 'title').text).toMatch(/^\S.+ · \S/);
  });

  test('gives every field a label that can be seen and every button words', () => {
    expectLabels(readHtml(render()));
  });

  test('asks for no other file and runs nothing but under the nonce [A-135]', () => {
    expectOwnCodeOnly(readHtml(render()), 'bm9uY2UtZm9yLXNhbXBsZXM');
  });

  test.each(hostile)('keeps $what as text in every value [A-018]', ({ poison, harmless }) => {
    const tags = readHtml(render((value) => replaceStrings(value, poison)));
    expect(shape(tags)).toEqual(shape(readHtml(render((value) => replaceStrings(value, harmless)))));
    expectOwnCodeOnly(tags, poison);
    expectLabels(tags);
  });

  test('shows no invisible or bidirectional character and no endless name [A-140]', () => {
    const [turned] = readHtml(render((value) => replaceStrings(value, bidi)));
    expect(turned?.text).not.toMatch(unseen);
    const [endless] = readHtml(render((value) => replaceStrings(value, 'x'.repeat(10_240))));
    expect(endless?.text).not.toMatch(/x{400}/);
  });
});

describe('sign-in page', () => {
  const props = { action: '/login/1', csrf: 'token', client: { client_name: 'Orders' } };

  test('lets password managers fill it in and never gives a password back [ASVS 6.2.6, 6.2.7]', () => {
    const tags = readHtml(loginPage(page, { ...props, email: 'a@acme.test', error: 'wrong_credentials' }));
    const inputs = tags.filter(({ name }) => name === 'input');
    expect(inputs.map(({ attributes }) => Object.fromEntries(attributes))).toMatchObject([
      { type: 'hidden', name: 'csrf', value: 'token' },
      { type: 'email', autocomplete: 'username', value: 'a@acme.test' },
      { type: 'password', autocomplete: 'current-password' },
    ]);
    expect([...inputs[2]!.attributes.keys()]).not.toContain('value');
    expect([...inputs[2]!.attributes.keys()]).not.toContain('maxlength');
  });

  test.each(['wrong_credentials', 'expired', 'missing', 'busy'] as const)(
    'explains %s at the fields',
    (error) => {
      const tags = readHtml(loginPage(page, { ...props, error }));
      const alert = tags.find(({ attributes }) => attributes.get('role') === 'alert');
      const described = tags.filter(({ attributes }) => attributes.get('aria-describedby') === 'problem');
      expect(alert?.attributes.get('id')).toBe('problem');
      expect(described.map(({ attributes }) => attributes.get('id'))).toEqual(['email', 'password']);
      expect(find(tags, 'title').text).toMatch(/^Error: /);
    },
  );

  test('puts the cursor where the next thing is to be typed', () => {
    const focused = (email?: string) =>
      readHtml(loginPage(page, { ...props, ...(email && { email }) }))
        .filter(({ attributes }) => attributes.has('autofocus'))
        .map(({ attributes }) => attributes.get('id'));
    expect(focused()).toEqual(['email']);
    expect(focused('a@acme.test')).toEqual(['password']);
  });

  test('says which language it really speaks when it lacks the one asked for [WCAG 3.1.1]', () => {
    expect(readHtml(loginPage({ ...page, lang: 'xx-YY' }, props))[0]?.attributes.get('lang')).toBe('en');
  });
});

describe('consent page', () => {
  const props = {
    action: '/consent/1',
    csrf: 'token',
    client: { client_name: 'Orders' },
    user: { email: 'a@acme.test' },
    scopes: [
      { name: 'openid' },
      { name: 'offline_access' },
      { name: 'constructor' },
      { name: 'orders:read' },
    ],
    resources: [],
    offline: false,
    lifetime: '14 days',
  };
  const asked = (changes: Partial<typeof props> = {}) => {
    const tags = readHtml(consentPage(page, { ...props, ...changes }));
    return tags.filter(({ name }) => name === 'li').map(({ text }) => text);
  };

  test('puts known scopes in words and others by name [A-140]', () => {
    expect(asked()).toEqual(['Know who you are when you sign in', 'constructor', 'orders:read']);
  });

  test('speaks of access while away exactly when it is given [A-140]', () => {
    expect(asked({ offline: true })).toContain('Keep this access while you are away');
    expect(asked({ offline: false })).not.toContain('Keep this access while you are away');
  });

  test('says how long the access lasts and offers both answers [A-140]', () => {
    const source = consentPage(page, props);
    expect(source).toContain('This access lasts for 14 days.');
    const buttons = readHtml(source).filter(({ name }) => name === 'button');
    expect(
      buttons.map(({ text, attributes }) => [text, attributes.get('name'), attributes.get('value')]),
    ).toEqual([
      ['Allow', 'decision', 'allow'],
      ['Deny', 'decision', 'deny'],
    ]);
  });
});

describe('what others named', () => {
  test('is one line without invisible characters, at most as long as asked', () => {
    expect(displayText(`  Acme\u0000\n\u202e Inc ${bidi}`)).toBe('Acme Inc evil');
    expect(displayText('x'.repeat(81))).toBe(`${'x'.repeat(79)}…`);
    expect(displayText('x'.repeat(80))).toBe('x'.repeat(80));
    expect(displayText(bidi.replace('evil', ''))).toBe('');
  });

  test('is counted as people count, and piled-up accents come down', () => {
    expect(displayText('👩‍👩‍👧'.repeat(3), 3)).toBe('👩‍👩‍👧'.repeat(3));
    expect(displayText(`a${'\u0301'.repeat(500)}b`)).toBe('a\u0301\u0301\u0301b');
  });

  test('is a link only when it leads to a website', () => {
    for (const url of [
      'javascript:alert(1)',
      ' JavaScript:alert(1)',
      'java\nscript:alert(1)',
      'data:text/html,x',
      'app://x',
    ]) {
      expect([url, webUrl(url), webHref(url)]).toEqual([url, undefined, undefined]);
    }
    expect(webUrl('/workspace')).toBeUndefined();
    expect(webHref('/workspace')).toBe('/workspace');
    expect(
      loggedOutPage(page, { client: { client_name: 'x', client_uri: 'javascript:alert(1)' } }),
    ).not.toContain('<a ');
  });
});

function count(tags: Tag[], name: string): number {
  return tags.filter((tag) => tag.name === name).length;
}

function find(tags: Tag[], name: string): Tag {
  const found = tags.find((tag) => tag.name === name);
  if (!found) throw new Error(`no <${name}>`);
  return found;
}

/** The page without its values: hostile text may change those and nothing else. */
function shape(tags: Tag[]): string[] {
  return tags.map(({ name, attributes }) => [name, ...attributes.keys()].join(' '));
}

function expectOwnCodeOnly(tags: Tag[], nonce: string): void {
  for (const { name, attributes } of tags) {
    if (name === 'style' || name === 'script') expect([...attributes]).toEqual([['nonce', nonce]]);
    if (name === 'link') expect(attributes.get('href')).toMatch(/^data:image\/svg\+xml,/);
    expect(['iframe', 'object', 'embed', 'img', 'base']).not.toContain(name);
    for (const key of attributes.keys())
      expect(key).not.toMatch(/^(on.*|style|src|srcset|xlink:href|formaction)$/);
    expect(attributes.get('href') ?? '').not.toMatch(/^\s*javascript:/i);
  }
}

function expectLabels(tags: Tag[]): void {
  const labels = new Map(
    tags.filter(({ name }) => name === 'label').map((tag) => [tag.attributes.get('for'), tag] as const),
  );
  for (const { name, attributes } of tags) {
    if (name !== 'input' || attributes.get('type') === 'hidden') continue;
    const label = labels.get(attributes.get('id'));
    expect(label?.text.trim()).toBeTruthy();
    expect([...(label?.attributes.keys() ?? [])]).toEqual(['for']);
  }
  for (const { name, text } of tags) if (name === 'button') expect(text.trim()).not.toBe('');
}

function replaceStrings<T>(value: T, text: string): T {
  if (typeof value === 'string') return text as T;
  if (Array.isArray(value)) return value.map((item) => replaceStrings(item, text)) as T;
  if (typeof value !== 'object' || value === null) return value;
  // The product's own name is the one text that no one else chooses.
  const entries = Object.entries(value).map(([key, inner]) => [
    key,
    key === 'product' ? inner : replaceStrings(inner, text),
  ]);
  return Object.fromEntries(entries) as T;
}
