import { describe, expect, test } from '@jest/globals';
import type { PasswordReason } from '#src/domain/credentials/password-refusal.ts';
import type { PasswordAdvice } from '#src/domain/credentials/password-strength.ts';
import { refusalText } from '#views/components/password.ts';
import type { PageContext } from '#views/layout.ts';
import { type NewPasswordProps, newPasswordPage } from '#views/pages/new-password.ts';
import { en } from '#views/text/en.ts';
import { readHtml, type Tag } from './read-html.ts';

const page: PageContext = { nonce: 'bm9uY2U', lang: 'en', request_id: 'req-1', product: 'Tessera' };
const props: NewPasswordProps = {
  action: '/login/1/password',
  check_action: '/login/1/password/check',
  cancel_action: '/login/1/cancel',
  csrf: 'token',
  client: { client_name: 'Orders' },
  minimum: 15,
};
const read = (changes: Partial<NewPasswordProps> = {}) =>
  readHtml(newPasswordPage(page, { ...props, email: 'a@acme.test', ...changes }));
const byId = (tags: Tag[], id: string) => tags.find(({ attributes }) => attributes.get('id') === id)!;

describe('the page that asks for a new password', () => {
  test('lets password managers fill in and store, and takes pasted text [N-10, 6.2.6, 6.2.7]', () => {
    const fields = ['email', 'password', 'new_password'].map((id) => byId(read(), id));
    expect(fields.map(({ attributes }) => [attributes.get('type'), attributes.get('autocomplete')])).toEqual([
      ['email', 'username'],
      ['password', 'current-password'],
      ['password', 'new-password'],
    ]);
    for (const { attributes } of fields) {
      expect([...attributes.keys()].filter((name) => /^on|maxlength|pattern|readonly/.test(name))).toEqual(
        [],
      );
    }
  });

  test('can show each password that is typed [N-10]', () => {
    const reveals = read().flatMap(({ attributes }) => attributes.get('data-reveal') ?? []);
    expect(reveals).toEqual(['password', 'new_password']);
  });

  test('says how long a password must be, and that to whoever cannot see the page', () => {
    const tags = read({ minimum: 8 });
    expect(byId(tags, 'hint').text).toContain('At least 8 characters.');
    expect(byId(tags, 'new_password').attributes.get('aria-describedby')).toBe('hint');
    expect(byId(tags, 'verdict').attributes.get('aria-live')).toBe('polite');
    expect(byId(tags, 'strength').attributes.get('aria-label')).toBeTruthy();
  });

  test('explains a refusal at the new password, with what would be better [N-09]', () => {
    const tags = read({ refusal: { reason: 'too_short', advice: ['passphrase'] } });
    const alert = byId(tags, 'problem');
    expect(alert.attributes.get('role')).toBe('alert');
    expect(alert.text).toContain('fewer than 15 characters. Take four or more words');
    expect(byId(tags, 'new_password').attributes.get('aria-describedby')).toBe('hint problem');
    expect(byId(tags, 'new_password').attributes.has('aria-invalid')).toBe(true);
    expect(byId(tags, 'password').attributes.has('aria-invalid')).toBe(false);
    expect(tags.find(({ name }) => name === 'title')!.text).toMatch(/^Error: /);
  });

  test('explains a wrong current password at the current one', () => {
    const tags = read({ error: 'wrong_credentials' });
    expect(byId(tags, 'password').attributes.get('aria-describedby')).toBe('problem');
    expect(byId(tags, 'new_password').attributes.has('aria-invalid')).toBe(false);
  });
});

/** A code without words does not compile here. */
const { reasons, advice } = en.password satisfies {
  reasons: Record<PasswordReason, string>;
  advice: Record<PasswordAdvice, string>;
};

test('every reason and every advice has its words', () => {
  for (const reason of Object.keys(reasons)) {
    expect(refusalText(en, { reason, advice: Object.keys(advice) }, 15)).not.toMatch(/[{}]/);
  }
  expect(refusalText(en, { reason: 'constructor', advice: ['toString'] }, 15)).toBe(
    en.password.reasons.guessable,
  );
});
