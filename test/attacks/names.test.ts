import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { hashPassword, PasswordError } from '#src/domain/credentials/password-hash.ts';
import { putUser } from '#src/domain/users/users.ts';
import { basic, call } from '#test/support/call.ts';
import { expectSafe, expectUnchanged } from '#test/support/expect-safe.ts';
import { forgetFailures } from '#test/support/failures.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { isSignedIn, type LoginForm, openLogin } from '#test/support/login-form.ts';
import { type Node, startNode, unlimitedSignIns } from '#test/support/server.ts';
import { makeUserAgent, type Page } from '#test/support/user-agent.ts';

let fixture: Fixture;
let node: Node;
let issuer: string;
let form: LoginForm;

beforeAll(async () => {
  fixture = await createFixture();
  node = await startNode(fixture, { env: unlimitedSignIns });
  issuer = node.url;
  form = await openLogin(issuer);
});
afterAll(async () => {
  await node?.stop();
  await fixture?.drop();
});
beforeEach(() => forgetFailures(fixture));

const alice = 'alice@example.test';

async function addUser(email: string, typed: string) {
  const user = {
    email,
    email_verified: true,
    name: null,
    password_hash: await hashPassword(typed),
    roles: [],
  };
  await withTenant(fixture.db, fixture.acme.tenant_id, (tx) => putUser(tx, user));
}

async function signsIn(fields: Record<string, string>): Promise<boolean> {
  const answer = await (await openLogin(issuer)).send(fields);
  expectSafe(answer);
  return isSignedIn(answer);
}

async function expectRefused(ask: () => Promise<Page>, statuses: number[] = [400, 401, 403]) {
  const answer = await expectUnchanged(fixture, ask);
  expectSafe(answer);
  expect(statuses).toContain(answer.status);
  expect(answer.location).toBeUndefined();
  return answer;
}

describe('an address has one spelling [A-100]', () => {
  test.each([
    ['in capitals', 'ALICE@EXAMPLE.TEST'],
    ['between blanks', '  alice@example.test '],
    ['in full width', 'ａｌｉｃｅ@ｅｘａｍｐｌｅ．ｔｅｓｔ'],
    ['with a long s', 'alice@example.teſt'],
  ])('%s it is the same', async (_, email) => {
    expect(await signsIn({ email, password })).toBe(true);
  });

  test.each([
    ['a quoted local part', '"alice"@example.test'],
    ['a comment', 'alice(me)@example.test'],
    ['a display name', 'Alice <alice@example.test>'],
    ['two @', 'alice@example.test@example.test'],
    ['a list', 'alice@example.test,bob@example.test'],
    ['a line break inside', 'alice@example.test\r\nbcc:bob@example.test'],
    ['a line break in the middle', 'ali\nce@example.test'],
    ['a right-to-left mark', 'alice\u200f@example.test'],
    ['an override', 'alice\u202e@example.test'],
    ['a joiner', 'ali\u200dce@example.test'],
    ['a Cyrillic letter', '\u0430lice@example.test'],
    ['no dot in its domain', 'alice@localhost'],
    ['an address literal', 'alice@[127.0.0.1]'],
    ['a dot behind its domain', 'alice@example.test.'],
    ['a path behind its domain', 'alice@example.test/x'],
    ['an escape', 'alice%40example.test'],
    ['a plus and a tag', 'alice+tag@example.test'],
    ['a local part of 65 bytes', `${'a'.repeat(65)}@example.test`],
    ['321 characters', `${'a'.repeat(64)}@${'b'.repeat(251)}.test`],
    ['an ideographic full stop', 'alice@example。test'],
    ['an asterisk', '*@example.test'],
    ['a wildcard of SQL', '%@example.test'],
    ['a quote of SQL', "alice@example.test' or '1'='1"],
  ])('with %s it is another or none', async (_, email) => {
    await expectRefused(() => form.send({ email, password }));
  });

  test('an internationalised domain is one in both its forms', async () => {
    await addUser('eve@xn--bcher-kva.test', password);
    expect(await signsIn({ email: 'eve@bücher.test', password })).toBe(true);
    expect(await signsIn({ email: 'EVE@XN--BCHER-KVA.TEST', password })).toBe(true);
    expect(await signsIn({ email: 'eve@bucher.test', password })).toBe(false);
  });
});

const odd: [string, string][] = [
  ['NUL', '\u0000'],
  ['C0', '\u0001'],
  ['DEL', '\u007f'],
  ['C1', '\u0085'],
  ['BOM', '\ufeff'],
  ['RLO', '\u202e'],
  ['a noncharacter', '\uffff'],
  ['an unassigned plane', '\u{10ffff}'],
];

describe.each(odd)('%s in a text field [A-102]', (_, character) => {
  test('of the sign-in is refused', async () => {
    await expectRefused(() => form.send({ email: `ali${character}ce@example.test`, password }));
    await expectRefused(() => form.send({ email: alice, password: `${character}${password}` }));
    await expectRefused(() => form.sendRaw(`email=${alice}&password=x&${encodeURIComponent(character)}=x`));
  });

  test('of the workspace page is refused', async () => {
    const query = new URLSearchParams({ client_id: 'shared-web', redirect_uri }).toString();
    for (const workspace of [`ac${character}me`, `x@ac${character}me.test`]) {
      const sent = { query, workspace };
      await expectRefused(() => makeUserAgent().post(`${issuer}/workspace`, sent), [400, 404]);
    }
  });

  test('of any endpoint is never an error of the server', async () => {
    const value = `x${character}y`;
    const fields = {
      client_id: value,
      client_secret: value,
      grant_type: value,
      code: value,
      refresh_token: value,
      scope: value,
      resource: value,
      token: value,
      redirect_uri: value,
      state: value,
      login_hint: value,
      tenant: value,
      id_token_hint: value,
    };
    for (const path of ['/auth', '/logout', '/workspace', '/userinfo', '/jwks', '/']) {
      expectSafe(await call(`${issuer}${path}?${new URLSearchParams(fields)}`));
    }
    for (const path of [
      '/token',
      '/par',
      '/introspect',
      '/revoke',
      '/userinfo',
      '/auth',
      '/logout/confirm',
    ]) {
      expectSafe(await call(issuer + path, { form: fields }));
      const { client_id: _, client_secret: __, ...known } = fields;
      for (const grant_type of ['authorization_code', 'refresh_token', 'client_credentials']) {
        expectSafe(await call(issuer + path, { form: { ...known, grant_type }, headers: basic('acme-web') }));
      }
    }
    for (const path of ['/login/', '/consent/', '/auth/', '/']) {
      const answer = await call(issuer + path + encodeURIComponent(value));
      expectSafe(answer);
      expect([400, 404]).toContain(answer.status);
    }
  });
});

describe('a field of another type than text [A-103]', () => {
  test.each([
    ['email twice', 'email=alice%40example.test&email=bob%40example.test&password=x'],
    ['email as a list', 'email[]=alice%40example.test&email[]=bob%40example.test&password=x'],
    ['email as an object', 'email[toString]=x&password=x'],
    ['email as an index', 'email[0]=alice%40example.test&password=x'],
    ['password as an operator', 'email=alice%40example.test&password[$ne]='],
    ['password as a pattern', 'email=alice%40example.test&password[$regex]=.*'],
    ['password twice', 'email=alice%40example.test&password=wrong&password=correct+horse+battery+staple'],
    ['password empty', 'email=alice%40example.test&password='],
    ['password missing', 'email=alice%40example.test'],
    ['nothing', ''],
  ])('%s is refused', async (_, body) => {
    await expectRefused(() => form.sendRaw(body), [400]);
  });

  test('a body of another kind is refused, whatever is in it', async () => {
    const values: unknown[] = [[], {}, 1, true, null, ['alice@example.test'], { toString: 'x' }];
    const action = form.page.url;
    for (const email of values) {
      const body = JSON.stringify({ email, password: { $ne: null }, csrf: 'x' });
      for (const type of ['application/json', 'text/plain', 'application/vnd.api+json', '']) {
        await expectRefused(() => form.agent.post(action, body, { 'content-type': type }), [400, 403, 415]);
      }
    }
  });
});

describe('names that objects have by themselves [A-104]', () => {
  const names = [
    '__proto__',
    'constructor',
    'prototype',
    'hasOwnProperty',
    'toString',
    'constructor.prototype',
  ];
  const pairs = names.flatMap((name): [string, string][] => [
    [name, 'polluted'],
    [`${name}[polluted]`, 'polluted'],
    [`${name}.polluted`, 'polluted'],
  ]);
  const query = new URLSearchParams(pairs);

  test('are dropped or refused in query and form, and change nothing for those who come after', async () => {
    for (const path of ['/auth', '/logout', '/workspace', '/userinfo', '/jwks', '/']) {
      expectSafe(await call(`${issuer}${path}?${query}`));
    }
    for (const path of ['/token', '/par', '/introspect', '/revoke', '/userinfo', '/auth', '/workspace']) {
      expectSafe(await call(issuer + path, { form: pairs }));
      const mixed: [string, string][] = [['grant_type', 'client_credentials'], ['token', 'x'], ...pairs];
      expectSafe(await call(issuer + path, { form: mixed, headers: basic('acme-m2m') }));
    }
    await expectRefused(() => form.sendRaw(query.toString()), [400]);
    for (const name of names) {
      for (const path of ['/token', '/par']) {
        const answer = await call(issuer + path, {
          form: { client_id: name, client_secret: name, grant_type: name },
        });
        expectSafe(answer);
        expect([400, 401]).toContain(answer.status);
      }
      expectSafe(await call(`${issuer}/auth?${new URLSearchParams({ client_id: name, tenant: name })}`));
      expectSafe(await call(`${issuer}/${name}`));
    }
  });

  test('leave the next requests as they were', async () => {
    const token = await call(`${issuer}/token`, {
      headers: basic('acme-m2m'),
      form: { grant_type: 'client_credentials' },
    });
    expect(token.status).toBe(200);
    expect(token.body).not.toContain('polluted');
    expect(await signsIn({ email: alice, password })).toBe(true);
    const discovery = await call(`${issuer}/.well-known/openid-configuration`);
    expect(discovery.body).not.toContain('polluted');
  });
});

describe('a password in Unicode [A-105, N-04]', () => {
  test('is the same composed and decomposed', async () => {
    const composed = 'Zürich café Ångström';
    await addUser('nfc@example.test', composed.normalize('NFC'));
    await addUser('nfd@example.test', composed.normalize('NFD'));
    for (const email of ['nfc@example.test', 'nfd@example.test']) {
      for (const spelling of ['NFC', 'NFD']) {
        expect(await signsIn({ email, password: composed.normalize(spelling) })).toBe(true);
      }
      expect(await signsIn({ email, password: 'Zurich cafe Angstrom' })).toBe(false);
    }
  });

  test('is not the same in compatibility forms', async () => {
    await addUser('ligature@example.test', 'the ﬁrst oﬃce');
    expect(await signsIn({ email: 'ligature@example.test', password: 'the first office' })).toBe(false);
  });

  test('is refused with half a character, which is no replacement character', async () => {
    await expect(hashPassword('half a character \ud800')).rejects.toBeInstanceOf(PasswordError);
    await addUser('replaced@example.test', 'half a character \ufffd');
    const typed = (bytes: string) => `email=replaced%40example.test&password=half+a+character+${bytes}`;
    for (const bytes of ['%ED%A0%80', '%FF', '%C0%80', '%F8%88%80%80%80']) {
      await expectRefused(() => form.sendRaw(typed(bytes)));
    }
    expect(isSignedIn(await (await openLogin(issuer)).sendRaw(typed('%EF%BF%BD')))).toBe(true);
  });
});
