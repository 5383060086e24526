import { describe, expect, test } from '@jest/globals';
import { newDeviceEmail } from '#views/emails/new-device.ts';
import { emailSamples } from '#views/samples.ts';
import { readHtml } from './read-html.ts';

const issuer = 'https://id.example.test';

/** A name, an address, a device: what somebody else chose. The product's own settings stay as they are. */
const spoil =
  (text: string) =>
  <T>(value: T): T =>
    Object.fromEntries(
      Object.entries(value as object).map(([key, inner]) => [
        key,
        typeof inner === 'string' && !['product', 'issuer', 'lang'].includes(key) ? text : inner,
      ]),
    ) as T;

const hostile = [
  { what: 'a header behind a line end', poison: 'Acme\r\nBcc: eve@evil.test\r\n\r\n<b>' },
  { what: 'a MIME boundary', poison: '\n--boundary\nContent-Type: text/html\n\n<script>x()</script>' },
  { what: 'a closing quote and a tag', poison: '"><img src=https://evil.test/x>' },
  { what: 'an end of style and title', poison: '</title></style><script>x()</script>' },
  { what: 'bidirectional controls', poison: '\u202eevil\u2066' },
  { what: 'template expressions', poison: `{workspace} \${7*7} {{7*7}}` },
  { what: 'ten thousand characters', poison: 'x'.repeat(10_240) },
  { what: 'lone surrogates and nulls', poison: '\ud800<\u0000"\udfff' },
];

describe.each(emailSamples)('e-mail: $name', ({ render }) => {
  test('says in text and HTML the same, in a subject of one short line', () => {
    const { subject, text, html } = render();
    expect(subject).toMatch(/^[^\p{C}]{10,200}$/u);
    const tags = readHtml(html);
    expect(tags.filter(({ name }) => name === 'h1').map((tag) => tag.text)).toEqual([subject]);
    const shown = tags.find(({ name }) => name === 'body')!.text.replaceAll(/\s+/g, ' ');
    for (const line of text.split('\n').filter((line) => /^[A-Z].*\.$/.test(line))) {
      expect(shown).toContain(line);
    }
    expect(text.split('\n').every((line) => line.length < 900)).toBe(true);
  });

  test('loads nothing, runs nothing, and leads only to the issuer [A-005]', () => {
    expectQuiet(render().html);
  });

  test.each(hostile)('keeps $what as text [A-151, A-018]', ({ poison }) => {
    const [spoilt, plain] = [render(spoil(poison)), render(spoil('plain'))];
    expect(spoilt.subject).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u);
    expect(spoilt.subject.length).toBeLessThan(400);
    expect(spoilt.text.split('\n')).toHaveLength(plain.text.split('\n').length);
    expect(spoilt.text).not.toMatch(/[\u202a-\u202e\u2066-\u2069]|(?!\n)\p{Cc}|x{400}/u);
    const shape = (html: string) =>
      readHtml(html).map(({ name, attributes }) => [name, ...attributes.keys()]);
    expect(shape(spoilt.html)).toEqual(shape(plain.html));
    expectQuiet(spoilt.html);
  });
});

test('times are in UTC, in words', () => {
  const { text } = newDeviceEmail(
    { lang: 'en', product: 'Tessera', workspace: 'Acme', issuer },
    { at: '2026-11-24T23:45:12.345+02:00', ip: '203.0.113.7', device: 'Firefox on Windows' },
  );
  expect(text.replaceAll('\u202f', ' ')).toContain(
    'When: November 24, 2026 at 9:45 PM UTC\nDevice: Firefox on Windows\nIP address: 203.0.113.7\n',
  );
});

function expectQuiet(html: string): void {
  expect(html).not.toMatch(/url\(|@import|@font-face/);
  for (const { name, attributes } of readHtml(html)) {
    expect(['script', 'img', 'iframe', 'object', 'embed', 'link', 'base', 'form']).not.toContain(name);
    for (const key of attributes.keys()) {
      expect(key).not.toMatch(/^(on.*|src|srcset|background)$/);
    }
    expect(attributes.get('href') ?? `${issuer}/`).toMatch(/^https:\/\/id\.example\.test\//);
  }
}
